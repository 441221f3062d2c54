package main

import (
	"net/url"
	"testing"
)

// TestLeaveOut: columns that a person names come beside those that the store leaves out.
func TestLeaveOut(t *testing.T) {
	q := url.Values{"table": {"xueji.student"}}
	leaveOut(q, map[string][]string{"xueji.student": {"a", "b"}, "xueji.class": {"c"}})
	leaveOut(q, map[string][]string{"xueji.student": {"姓名"}})
	leaveOut(q, map[string][]string{"": nil})
	if got, want := q.Encode(), "table=xueji.student&without.xueji.class=c&without.xueji.student=a&without.xueji.student=b&without.xueji.student=%E5%A7%93%E5%90%8D"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
