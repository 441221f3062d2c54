package desk

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// access is who may use a route.
type access int

// The accesses.
const (
	anybody access = iota // without login
	person                // whoever is logged in
	acting                // whose roles allow the route's act somewhere in the tree
)

// route is one call of the API. Forms of pages use the same.
type route struct {
	Method, Path string
	Who          access
	Act          account.Act
	// Fields are those that the body may have.
	Fields []string
	do     func(*call) (any, error)
	// page is where a form goes on; empty, the answer is shown on the page it came from.
	page string
	// from is the page of the form.
	from string
}

// call is one request for a route.
type call struct {
	d       *Desk
	w       http.ResponseWriter
	r       *http.Request
	lang    language.Language
	by      state.By
	session *state.Session // nil if nobody is logged in
	secret  string         // of the session
	// scopes are the parts of the tree in which the person may do the route's act.
	scopes []string
	in     map[string][]string
	form   bool // it comes from a page
}

func (c *call) ctx() context.Context { return c.r.Context() }

// text gives a field's only value; empty without one.
func (c *call) text(name string) string {
	if v := c.in[name]; len(v) > 0 {
		return strings.TrimSpace(v[0])
	}
	return ""
}

// number gives the number in the path.
func (c *call) number(name string) (int64, error) {
	n, err := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	if err != nil {
		return 0, refusal.New(refusal.Unknown, "INPUT_INVALID", "%s %.80q", name, c.r.PathValue(name))
	}
	return n, nil
}

// The cookies. With TLS the browser itself refuses that of a session from anybody else
// (RFC 6265bis, 4.1.3.2).
func (d *Desk) sessionCookie() string {
	if d.o.Secure {
		return "__Host-tributary"
	}
	return "tributary-session"
}

const formCookie = "tributary-form"

// formField and formHeader carry what a form or a program of a session must know.
const (
	formField  = "form"
	formHeader = "X-Tributary-Form"
)

func (d *Desk) setCookie(w http.ResponseWriter, name, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: d.o.Secure, SameSite: http.SameSiteLaxMode})
}

// open finds out who asks, and in which language.
func (d *Desk) open(w http.ResponseWriter, r *http.Request) (*call, error) {
	c := &call{d: d, w: w, r: r, lang: language.OfRequest(r)}
	if tag := r.URL.Query().Get("lang"); tag != "" {
		d.setCookie(w, language.Cookie, c.lang.Tag(), 365*24*3600)
	}
	c.by.Address, _, _ = net.SplitHostPort(r.RemoteAddr) // a listener's always has a port
	cookie, err := r.Cookie(d.sessionCookie())
	if err != nil {
		return c, nil // nobody
	}
	c.secret = cookie.Value
	use := state.ByPerson
	if r.URL.Path == eventsPath || r.URL.Path == livePath {
		use = state.ByPage
	}
	c.session, err = d.o.State.Session(r.Context(), c.secret, use)
	if no, ok := errors.AsType[*refusal.Refusal](err); ok && no.Kind == refusal.Login {
		c.session, err = nil, nil
	}
	if c.session != nil {
		c.by.Name = c.session.Name
	}
	return c, err
}

// allow decides whether whoever asks may use a route.
func (c *call) allow(who access, act account.Act) error {
	switch {
	case who == anybody:
		return nil
	case c.session == nil:
		return refusal.New(refusal.Login, "LOGIN_NEEDED", "")
	case who == person:
		return nil
	}
	if c.scopes = c.session.Scopes(act); len(c.scopes) == 0 {
		return refusal.New(refusal.Denied, "NOT_ALLOWED", "%s", act)
	}
	return nil
}

// serve answers a route.
func (d *Desk) serve(w http.ResponseWriter, r *http.Request, rt *route) {
	c, err := d.open(w, r)
	var answer any
	if err == nil {
		err = c.allow(rt.Who, rt.Act)
	}
	if err == nil && rt.Method != http.MethodGet {
		if err = c.read(rt); err == nil {
			err = c.genuine()
		}
	}
	if err == nil {
		answer, err = rt.do(c)
	}
	if no, ok := errors.AsType[*refusal.Refusal](err); ok && no.Kind == refusal.Denied && rt.Method != http.MethodGet && c.session != nil {
		note := state.Entry{Action: "refused", Object: rt.Method + " " + r.URL.Path, Outcome: state.Refused, Detail: no.Code + " " + no.Detail}
		err = errors.Join(err, d.o.State.Note(r.Context(), c.by, note))
	}
	if done, ok := answer.(written); ok && err == nil {
		done(w)
		return
	}
	if c.form {
		c.turn(rt, answer, err)
		return
	}
	if err != nil {
		d.fail(c, err)
		return
	}
	d.json(w, http.StatusOK, map[string]any{"data": answer})
}

// written is an answer that isn't JSON.
type written func(http.ResponseWriter)

// read takes the body: JSON, or a form of a page. Fields that the route doesn't have are
// refused.
func (c *call) read(rt *route) error {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil && c.r.ContentLength != 0 {
		return refusal.New(refusal.Invalid, "INPUT_INVALID", "Content-Type")
	}
	c.in = map[string][]string{}
	switch kind {
	case "application/x-www-form-urlencoded", "multipart/form-data":
		c.form = true
		if err := c.readForm(kind); err != nil {
			return tooLarge(err)
		}
	case "application/json":
		if err := c.readJSON(); err != nil {
			return tooLarge(err)
		}
	default:
		if c.r.ContentLength != 0 {
			return refusal.New(refusal.Invalid, "INPUT_INVALID", "Content-Type: application/json")
		}
	}
	for name := range c.in {
		if name != formField && !slices.Contains(rt.Fields, name) {
			return refusal.New(refusal.Invalid, "INPUT_INVALID", "%.80q", name)
		}
	}
	return nil
}

func (c *call) readForm(kind string) error {
	if kind == "application/x-www-form-urlencoded" {
		if err := c.r.ParseForm(); err != nil {
			return err
		}
		c.in = c.r.PostForm
		return nil
	}
	parts, err := c.r.MultipartReader()
	if err != nil {
		return err
	}
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		if name := p.FileName(); name != "" {
			c.in["filename"] = []string{name}
		}
		c.in[p.FormName()] = append(c.in[p.FormName()], string(b))
	}
}

// readJSON takes an object whose values are texts, numbers, or lists of texts.
func (c *call) readJSON() error {
	var fields map[string]json.RawMessage
	dec := json.NewDecoder(c.r.Body)
	if err := dec.Decode(&fields); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one object")
	}
	for name, raw := range fields {
		var text string
		var list []string
		var number json.Number
		switch {
		case json.Unmarshal(raw, &text) == nil:
			c.in[name] = []string{text}
		case json.Unmarshal(raw, &list) == nil:
			c.in[name] = list
		case json.Unmarshal(raw, &number) == nil:
			c.in[name] = []string{number.String()}
		default:
			return fmt.Errorf("%.80q", name)
		}
	}
	return nil
}

func tooLarge(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refusal.New(refusal.Invalid, "INPUT_TOO_LARGE", "> %d", large.Limit)
	}
	return refusal.New(refusal.Invalid, "INPUT_INVALID", "%.200s", err.Error())
}

// genuine refuses what another site had the browser send: it doesn't know what the
// session's forms carry, or, before the login, what the form's cookie does.
func (c *call) genuine() error {
	bad := refusal.New(refusal.Denied, "FORM_EXPIRED", "")
	if c.d.foreign.Check(c.r) != nil {
		return bad
	}
	given := c.r.Header.Get(formHeader)
	if given == "" {
		given = c.text(formField)
	}
	want := ""
	if c.session != nil {
		want = c.session.Form
	} else if cookie, err := c.r.Cookie(formCookie); err == nil {
		want = cookie.Value
	}
	if len(want) < 26 || subtle.ConstantTimeCompare([]byte(given), []byte(want)) != 1 {
		return bad
	}
	return nil
}

// formSecret gives what the forms of a page must carry, and sets the cookie for those
// before the login.
func (c *call) formSecret() string {
	if c.session != nil {
		return c.session.Form
	}
	if cookie, err := c.r.Cookie(formCookie); err == nil && len(cookie.Value) >= 26 && len(cookie.Value) < 100 {
		return cookie.Value
	}
	secret := account.Secret()
	c.d.setCookie(c.w, formCookie, secret, 0)
	return secret
}

// statuses are those of HTTP for the kinds of refusals.
var statuses = map[refusal.Kind]int{refusal.Invalid: http.StatusBadRequest, refusal.Unknown: http.StatusNotFound, refusal.Conflict: http.StatusConflict,
	refusal.Login: http.StatusUnauthorized, refusal.Denied: http.StatusForbidden, refusal.Later: http.StatusServiceUnavailable}

// trouble is an error of the API.
type trouble struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Detail  string   `json:"detail,omitempty"`
	Hint    string   `json:"hint,omitempty"`
	Lines   []string `json:"lines,omitempty"`
}

// told gives an error in words. What isn't a refusal is logged, and told without its text.
func (d *Desk) told(c *call, err error) (int, trouble) {
	no, ok := errors.AsType[*refusal.Refusal](err)
	if !ok {
		d.o.Logger.Error("request", "path", c.r.URL.Path, "err", err)
		no = refusal.New(refusal.Later, "UNEXPECTED_ERROR", "")
	} else if no.Kind == refusal.Later && no.Err != nil {
		d.o.Logger.Warn("request", "path", c.r.URL.Path, "code", no.Code, "err", no.Err)
	}
	what, do := no.In(c.lang)
	status := statuses[no.Kind]
	if no.Code == "LOGIN_TOO_OFTEN" {
		status = http.StatusTooManyRequests
	}
	return status, trouble{no.Code, what, no.Detail, do, no.Lines(c.lang)}
}

func (d *Desk) fail(c *call, err error) {
	status, t := d.told(c, err)
	d.json(c.w, status, map[string]any{"error": t})
}

func (d *Desk) json(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		d.o.Logger.Error("answer", "err", err)
		http.Error(w, `{"error":{"code":"UNEXPECTED_ERROR","message":""}}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the reader may have gone
}
