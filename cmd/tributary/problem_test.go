package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/log"
)

// TestEveryErrorHasACode: whatever fails is told with a code that can be explained, in
// the reader's language, and with its own words beside it.
func TestEveryErrorHasACode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code string
		exit int
	}{
		{errors.New("the disk has melted"), "UNEXPECTED_ERROR", exitFailed},
		{fmt.Errorf("trace nosuch: %w", postgres.ErrNoTable), "TABLE_NOT_FOUND", exitFailed},
		{fmt.Errorf("/var/lib: %w", errInUse), "DATA_DIR_IN_USE", exitFailed},
		{fmt.Errorf("/var/lib: %w", embedded.ErrInUse), "DATA_DIR_IN_USE", exitFailed},
		{embedded.ErrStorage, "LOG_STORAGE", exitFailed},
		{worker.ErrStoreAccess, "STORE_ACCESS", exitFailed},
		{worker.ErrStoreAway, "STORE_UNREACHABLE", exitUnreachable},
		{log.ErrUnavailable, "LOG_UNAVAILABLE", exitUnreachable},
		{&capture.Coded{Code: "PG_WAL_LEVEL", Hint: "ALTER SYSTEM", Err: errors.New("wal_level is replica")}, "PG_WAL_LEVEL", exitFailed},
		{fmt.Errorf("%w: refused", errUnreachable), "PROGRAM_UNREACHABLE", exitUnreachable},
		{fmt.Errorf("%w: what", errUsage), "USAGE_VALUE", exitUsage},
	} {
		for _, lang := range []language{chinese, english} {
			var b bytes.Buffer
			printError(&b, lang, tt.err)
			what, do := codes.Explain(tt.code, lang)
			if got := b.String(); what == "" || !strings.HasPrefix(got, "tributary: ["+tt.code+"] "+what+"\n") || !strings.Contains(got, do) || !strings.HasSuffix(got, tt.err.Error()+"\n") {
				t.Errorf("%v: %s", tt.err, got)
			}
		}
		if got := exitOf(tt.err); got != tt.exit {
			t.Errorf("%v: exit %d, want %d", tt.err, got, tt.exit)
		}
	}
}

// TestInvalidConfiguration: every finding of a file stands on a line, with its code.
func TestInvalidConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.yml")
	if err := os.WriteFile(file, []byte("name: a1\norg: \"330108\"\ndata_dir: x\nlog: {brokers: [x]}\nsources: [{name: a, engine: oracle, host: h, tables: [x]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string][]string{
		"zh-CN": {file + " 无效：", "\n  [CONFIG_MISSING] sources[0].user：缺失", `sources[0].engine "oracle"：应为`, "[CONFIG_SECRET] sources[0]：", "[CONFIG_VALUE]"},
		"en":    {file + " isn't valid:", "\n  [CONFIG_MISSING] sources[0].user: is missing", `sources[0].engine "oracle": one of`, "[CONFIG_SECRET] sources[0]: ", "[CONFIG_VALUE]"},
	} {
		for _, args := range [][]string{{"config", "check", "agent", file}, {"agent", "--config", file}} {
			code, out, errs := call(append(args, "--lang", tag)...)
			if code != exitUsage || out != "" || strings.Count(errs, "\n  [CONFIG_") != 4 {
				t.Errorf("%v: exit %d, %s", args, code, errs)
			}
			for _, w := range want {
				if !strings.Contains(errs, w) {
					t.Errorf("%v in %s lacks %q:\n%s", args, tag, w, errs)
				}
			}
		}
	}
}

// TestAddressInUse: programs that can't have their address say so at once.
func TestAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // only taken
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	dir := t.TempDir()
	for role, text := range map[string]string{
		"registry": "http: 127.0.0.1:" + port + "\nlog: {brokers: [\"127.0.0.1:1\"]}\norgs: [\"330106\"]\n",
		"log":      "data_dir: " + filepath.Join(dir, "data") + "\nport: " + port + "\n",
	} {
		file := filepath.Join(dir, role+".yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, errs := call(role, "--config", file, "--lang", "zh-CN")
		if code != exitFailed || !strings.Contains(errs, "tributary: [ADDRESS_IN_USE] 该地址正被另一个程序使用") || !strings.Contains(errs, port) {
			t.Errorf("%s: exit %d, %s", role, code, errs)
		}
	}
}

// TestTableOrders: an agent's answers to an order have codes, which are explained.
func TestTableOrders(t *testing.T) {
	agent := httptest.NewServer(handler(answers{status: func() report { return report{} }, orders: loaders{}}))
	t.Cleanup(agent.Close)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	for address, want := range map[string]string{agent.URL: "SOURCE_UNKNOWN", other.URL: "NOT_TRIBUTARY"} {
		code, _, errs := call("table", "reread", "330106-nosuch", "xueji.t", "--agent", address, "--lang", "zh-CN")
		if code != exitFailed || !strings.HasPrefix(errs, "tributary: ["+want+"] ") || !strings.Contains(errs, "处理：") || !han(strings.Split(errs, "\n")[0]) || !strings.Contains(errs, "原文：") {
			t.Errorf("exit %d, %s; want %s", code, errs, want)
		}
	}
	if code, _, errs := call("table", "reread", "a", "b", "--agent", "http://127.0.0.1:1"); code != exitUnreachable || !strings.Contains(errs, "[PROGRAM_UNREACHABLE]") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// halting answers an order to accept a table as a store does.
type halting struct {
	halt worker.Halt
	err  error
}

func (h halting) Accept(context.Context, string, string) (worker.Halt, error) { return h.halt, h.err }

// TestAcceptOrders: a worker's answers to an order to accept a table say what is left to do.
func TestAcceptOrders(t *testing.T) {
	for name, tt := range map[string]struct {
		halting
		code int
		want string
	}{
		"rows are held":  {halting{halt: worker.Halt{Rows: 7}}, 0, "正在应用保留的 7 行"},
		"too many":       {halting{halt: worker.Halt{Source: "330106-xueji", Table: "xueji.t", Reread: true}}, 0, "tributary table reread 330106-xueji xueji.t"},
		"isn't halted":   {halting{err: worker.ErrNotHalted}, exitFailed, "[TABLE_NOT_HALTED] "},
		"the store away": {halting{err: worker.ErrStoreAway}, exitFailed, "[STORE_UNREACHABLE] "},
	} {
		srv := httptest.NewServer(handler(answers{status: func() report { return report{} }, orders: accepting{tt.halting}}))
		t.Cleanup(srv.Close)
		code, out, errs := call("table", "accept", "330106-xueji", "xueji.t", "--worker", srv.URL, "--lang", "zh-CN")
		if code != tt.code || !strings.Contains(out+errs, tt.want) {
			t.Errorf("%s: exit %d, %s%s", name, code, out, errs)
		}
		if code, _, errs := call("table", "reread", "330106-xueji", "xueji.t", "--agent", srv.URL, "--lang", "en"); code != exitFailed || !strings.Contains(errs, "[ORDER_UNKNOWN]") {
			t.Errorf("%s: a worker took another order: exit %d, %s", name, code, errs)
		}
	}
}
