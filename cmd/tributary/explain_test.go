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
	"github.com/tributary-cdc/tributary/stream/log"
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
	stopped := report{Role: "worker", Name: "province", Partitions: []worker.PartitionStatus{{Partition: log.Partition{Topic: "tributary.330106.changes"}, State: worker.Failed, Next: 4711,
		Error: "batch at offset 4711: checksum 01020304", Code: "LOG_CORRUPT", Foreign: 2, LastForeign: 99}}}
	well := report{Role: "worker", Name: "city", Stores: []worker.SourceStatus{{Source: "330106-xueji", Txns: 3}}}
	serveReport := func(r report) string {
		srv := httptest.NewServer(handler(answers{status: func() report { return r }}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	bad, good := serveReport(waiting), serveReport(well)
	code, out, errs := call("status", bad, good, "--lang", "zh-CN")
	for _, want := range []string{"PG_WAL_LEVEL", "wal_level 不是 logical", "ALTER SYSTEM", "TABLE_NO_KEY", "表没有主键", "0.250s", "采集中", "入库中"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if code != exitFailed || !strings.HasPrefix(errs, "tributary: [NEEDS_PERSON] 有需要处理的问题") {
		t.Errorf("exit %d, %s", code, errs)
	}
	code, out, _ = call("status", serveReport(stopped), "--lang", "zh-CN")
	for _, want := range []string{"tributary.330106.changes/0", "已失败", "LOG_CORRUPT", "日志中有损坏的记录", "offset 4711", "搁置了 2 条外来记录，最新一条的偏移量为 99"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if code != exitFailed {
		t.Errorf("exit %d for a stopped partition", code)
	}
	if code, out, _ := call("status", good, "--output", "json"); code != 0 || !bytes.Contains([]byte(out), []byte(`"transactions": 3`)) {
		t.Errorf("exit %d, %s", code, out)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	if code, _, errs := call("status", "127.0.0.1:1"); code != exitUsage || !strings.Contains(errs, "isn't an address") {
		t.Errorf("exit %d, %s", code, errs)
	}
	for _, address := range []string{"http://127.0.0.1:1", other.URL} {
		if code, out, errs := call("status", good, address); code != exitUnreachable || !strings.Contains(out, "unreachable") || !strings.Contains(errs, "[PROGRAM_UNREACHABLE]") {
			t.Errorf("%s: exit %d, %s, %s", address, code, out, errs)
		}
	}
	if code, _, _ := call("status", good, "--output", "xml"); code != exitUsage {
		t.Errorf("exit %d for another output", code)
	}
}
