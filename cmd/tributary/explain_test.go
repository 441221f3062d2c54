package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

func TestExplain(t *testing.T) {
	if code, out, _ := call("explain", "PG_WAL_LEVEL", "--lang", "zh-CN"); code != 0 || !strings.Contains(out, "处理：") {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, out, _ := call("explain", "--lang", "en"); code != 0 || strings.Count(out, "\n") != len(codes.All()) {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, _, _ := call("explain", "NO_SUCH_CODE"); code != exitUsage {
		t.Errorf("exit %d for an unknown code", code)
	}
}

// TestStatusSaysWhatToDo shows a source that waits for its DBA.
func TestStatusSaysWhatToDo(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	waiting := report{Role: "agent", Name: "a1", Sources: []pipeline.Status{
		{Source: "330108-chengji", State: pipeline.Retrying, Error: "wal_level is replica [PG_WAL_LEVEL]", Code: "PG_WAL_LEVEL", Hint: "ALTER SYSTEM SET wal_level = 'logical'"},
		{Source: "330106-xueji", State: pipeline.Streaming, Committed: at, Logged: at.Add(250 * time.Millisecond), Stopped: []event.TableStop{{Table: "xueji.t", Code: "TABLE_NO_KEY", Reason: "no key"}}}}}
	well := report{Role: "worker", Name: "city", Stores: []worker.SourceStatus{{Source: "330106-xueji", Txns: 3}}}
	serveReport := func(r report) string {
		srv := httptest.NewServer(handler(answers{status: func() report { return r }}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	bad, good := serveReport(waiting), serveReport(well)
	code, out, _ := call("status", bad, good, "--lang", "zh-CN")
	for _, want := range []string{"PG_WAL_LEVEL", "wal_level 不是 logical", "ALTER SYSTEM", "TABLE_NO_KEY", "表没有主键", "0.250s", "applying"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if code != exitUnwell {
		t.Errorf("exit %d", code)
	}
	if code, out, _ := call("status", good, "--output", "json"); code != 0 || !bytes.Contains([]byte(out), []byte(`"transactions": 3`)) {
		t.Errorf("exit %d, %s", code, out)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	for _, address := range []string{"127.0.0.1:1", other.URL} {
		if code, out, _ := call("status", address); code != exitUnwell || !strings.Contains(out, "unreachable") {
			t.Errorf("%s: exit %d, %s", address, code, out)
		}
	}
	if code, _, _ := call("status", good, "--output", "xml"); code != exitUsage {
		t.Errorf("exit %d for another output", code)
	}
}
