package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// running is a hub as `tributary hub` runs it.
type running struct {
	t     *testing.T
	lines []string // what it has printed
	said  said     // what it has logged
	stop  func()
}

// said is what a program logs.
type said struct {
	mu  sync.Mutex
	all strings.Builder
}

// Write implements io.Writer.
func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(b)
}

// String gives all of it.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// startHub runs a hub until the test ends or stop is called, and waits for its first
// lines of output.
func startHub(t *testing.T, file string, lines int) *running {
	t.Helper()
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	r := &running{t: t, stop: func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended <- nil
	}}
	go func() {
		err := runHub(ctx, file, in, slog.New(slog.NewTextHandler(&r.said, nil)))
		ended <- errors.Join(err, in.CloseWithError(errors.Join(errors.New("the hub has ended"), err)))
	}()
	t.Cleanup(r.stop)
	scan := bufio.NewScanner(out)
	for range lines {
		if !scan.Scan() {
			t.Fatal(scan.Err())
		}
		r.lines = append(r.lines, scan.Text())
	}
	return r
}

// caller is somebody's program at the hub's API.
type caller struct {
	t    *testing.T
	base string
	http *http.Client
}

func newCaller(t *testing.T, base string) *caller {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &caller{t, base, &http.Client{Jar: jar, Timeout: 60 * time.Second}}
}

// post calls the API, and gives the answer's data.
func (c *caller) post(path string, in any) map[string]any {
	c.t.Helper()
	var who struct{ Data struct{ Form string } }
	c.ask(http.MethodGet, "/api/session", "", nil, &who)
	var answer struct{ Data map[string]any }
	c.ask(http.MethodPost, path, who.Data.Form, in, &answer)
	return answer.Data
}

func (c *caller) ask(method, path, form string, in, out any) {
	c.t.Helper()
	if code, body := c.answer(method, path, form, in, out); code != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, code, body)
	}
}

// answer is ask for a question that may be refused.
func (c *caller) answer(method, path, form string, in, out any) (code int, body []byte) {
	c.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Tributary-Form", form)
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err = io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		c.t.Fatalf("%s %s: %s, %v", method, path, res.Status, err)
	}
	if res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, out); err != nil {
			c.t.Fatalf("%s: %v", body, err)
		}
	}
	return res.StatusCode, body
}

// person makes an account, sets its password by the link, and logs in.
func (c *caller) person(name, grant string) *caller {
	c.t.Helper()
	link, _ := c.post("/api/accounts", map[string]any{"account": name, "title": name, "grants": []string{grant}})["link"].(string)
	return c.enter(name, link)
}

func (c *caller) enter(name, link string) *caller {
	c.t.Helper()
	_, secret, ok := strings.Cut(link, "/setup?link=")
	if !ok {
		c.t.Fatalf("no link: %q", link)
	}
	p := newCaller(c.t, c.base)
	p.post("/api/setup", map[string]any{"link": secret, "password": "correct horse battery"})
	p.post("/api/session", map[string]any{"account": name, "password": "correct horse battery"})
	return p
}

// well runs a command that succeeds.
func well(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := call(append(args, "--lang", "en")...)
	if code != 0 {
		t.Fatalf("%v: exit %d, %s%s", args, code, out, errs)
	}
	return out
}

// fails runs a command that ends with a code.
func fails(t *testing.T, want string, args ...string) {
	t.Helper()
	for tag, lang := range tongues {
		if code, out, errs := call(append(args, "--lang", tag)...); code == 0 || !strings.Contains(errs, "["+want+"]") || out != "" && !slices.Contains(args, "propose") || han(strings.Split(errs, ":")[1]) && lang == english {
			t.Errorf("%v: exit %d, %s%s; want %s", args, code, out, errs, want)
		}
	}
}
