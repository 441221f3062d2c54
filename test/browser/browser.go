// Package browser drives a real Chromium over pages of a test, and looks at how they are
// shown. It decides what is wrong with any page; it knows none.
package browser

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// audit is run in the page: it lists what is wrong with how the page is shown.
//
//go:embed audit.js
var audit string

// patience is how long a busy machine's browser may take for one step.
const patience = 60 * time.Second

// Chromium gives a browser that ends with the test. Root's has no sandbox, which it
// can't have.
func Chromium(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("no Chromium on this machine: install it (Debian: apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WSURLReadTimeout(patience))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// Tab is a page that is looked at.
type Tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	troubles []string // errors of scripts, loads and the content policy
	expected string   // part of those that are wanted; empty for none

	axe string // the script
}

// Open makes a tab of a window's size, by day or by night. It is the one that is looked at:
// those before it are hidden, and know it.
func Open(t *testing.T, browser context.Context, width, height int64, dark bool) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	context.AfterFunc(t.Context(), cancel) // before servers are closed, which wait for the page to let go
	v := &Tab{t: t, ctx: ctx, axe: axe(t)}
	chromedp.ListenTarget(ctx, func(ev any) {
		text := ""
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			text = e.ExceptionDetails.Error()
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
				text = fmt.Sprint(e.Type, e.Args)
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
				text = e.Entry.Text + " " + e.Entry.URL
			}
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if text != "" && (v.expected == "" || !strings.Contains(text, v.expected)) {
			v.troubles = append(v.troubles, text)
		}
	})
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	if err := chromedp.Run(ctx); err != nil { // the tab lives as long as the context of its first step
		t.Fatal(err)
	}
	v.Run(log.Enable(), page.BringToFront(), chromedp.EmulateViewport(width, height),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
	return v
}

// Run does something in the page, or fails the test.
func (v *Tab) Run(actions ...chromedp.Action) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		v.t.Fatal(err)
	}
}

// Is waits until an expression is true in the page. The page's policy forbids chromedp's
// own way, which makes functions of texts.
func (v *Tab) Is(expression string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var holds bool
			err := chromedp.Evaluate("Boolean("+expression+")", &holds).Do(ctx) // fails while another page is coming
			if holds {
				return nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("%s: %w, %w", expression, ctx.Err(), err)
			}
		}
	})
}

// Audit looks at the page as it is, by our own rules and by axe's, and keeps a picture of it where
// TRIBUTARY_SCREENSHOTS names a folder.
func (v *Tab) Audit(name string) {
	v.t.Helper()
	var wrong []string
	v.Run(chromedp.Evaluate(audit, &wrong))
	for _, w := range append(wrong, v.axeSays()...) {
		v.t.Errorf("%s: %s", name, w)
	}
	v.mu.Lock()
	for _, w := range v.troubles {
		v.t.Errorf("%s: the browser's console says: %s", name, w)
	}
	v.mu.Unlock()
	if dir := os.Getenv("TRIBUTARY_SCREENSHOTS"); dir != "" {
		var png []byte
		v.Run(page.BringToFront(), chromedp.FullScreenshot(&png, 100)) // a tab behind another one draws nothing, now and then
		if err := os.WriteFile(filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".png"), png, 0o600); err != nil {
			v.t.Fatal(err)
		}
	}
}

// Expect takes away what the browser's console has said and will say about an address, of
// which part is a part: an answer that a test wants may be an error to the browser.
func (v *Tab) Expect(part string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.expected = part
	v.troubles = slices.DeleteFunc(v.troubles, func(text string) bool { return strings.Contains(text, part) })
}

// TabTo presses the tabulator until the element has the focus.
func (v *Tab) TabTo(id string) {
	v.t.Helper()
	for range 40 {
		var at string
		v.Run(chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(`document.activeElement.id`, &at))
		if at == id {
			return
		}
	}
	v.t.Fatalf("#%s can't be reached with the keyboard", id)
}
