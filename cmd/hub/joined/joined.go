// Package joined is an agent's side of its hub: it joins by an invitation, keeps its own
// key, renews its certificate, proposes sources, and fetches what they were granted. It
// decides whom an agent takes for its hub. Nothing in the way of data needs it.
package joined

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
)

// The files of an agent's folder. The key leaves it never.
const (
	keyFile     = "agent.key"
	joinedFile  = "joined.json"
	grantsFile  = "assignments.json"
	sentFolder  = "sent" // what the agent has told the hub of its sources, as it left
	patience    = 30 * time.Second
	maxAnswer   = 16 << 20
	renewBefore = authority.AgentHolds / 3
)

// Options says how an agent joins.
type Options struct {
	Dir        string // of the agent's files; made if it isn't there
	URL        string // of the hub, for agents
	Invitation string
	Name       string           // of the agent, for people
	Now        func() time.Time // default time.Now
}

// Member is an agent that has joined.
type Member struct {
	desk.JoinAnswer
	// URL is where the hub was reached when the agent joined.
	URL string `json:"url"`

	dir   string
	now   func() time.Time
	roots *x509.CertPool
	hub   *x509.Certificate
	pair  tls.Certificate
}

func (o *Options) check() (pin string, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	_, pin, ok := desk.SplitInvitation(o.Invitation)
	if !ok {
		return "", refusal.New(refusal.Invalid, "INVITATION_UNKNOWN", "")
	}
	if u, err := url.Parse(o.URL); err != nil || u.Scheme != "https" || u.Host == "" {
		return "", refusal.New(refusal.Invalid, "INPUT_INVALID", "%.80q: https://HOST:PORT", o.URL)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, joinedFile)); err == nil {
		return "", refusal.New(refusal.Conflict, "ALREADY_JOINED", "%s", o.Dir)
	}
	return pin, os.MkdirAll(o.Dir, 0o700)
}

// request makes the key, unless an earlier try did, and asks for a certificate.
func (o *Options) request() (*desk.JoinRequest, error) {
	key, err := keyOf(o.Dir)
	if errors.Is(err, os.ErrNotExist) {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err == nil {
			var b []byte
			if b, err = authority.EncodeKey(key); err == nil {
				err = authority.WriteNew(filepath.Join(o.Dir, keyFile), b)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key of the agent: %w", err)
	}
	asked, err := ask(key)
	return &desk.JoinRequest{Invitation: o.Invitation, Name: o.Name, Key: asked, Clock: o.Now().UTC()}, err
}

func keyOf(dir string) (*ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of the kind %T", k)
	}
	return key, nil
}

func ask(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), err
}

// Join uses the invitation at the hub. Whoever answers must have the certificate that the
// invitation names.
func Join(ctx context.Context, o Options) (*Member, error) {
	pin, err := o.check()
	if err != nil {
		return nil, err
	}
	q, err := o.request()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: authority.ServerName, InsecureSkipVerify: true, // VerifyConnection does it, by the pin
		VerifyConnection: func(s tls.ConnectionState) error { return pinned(s.PeerCertificates, pin, o.Now()) }}
	var answer desk.JoinAnswer
	if err := call(ctx, config, o.Now, http.MethodPost, o.URL, "/agent/join", q, &answer); err != nil {
		return nil, err
	}
	return o.accept(pin, answer)
}

// Prepare gives the file by which an agent joins that has no connection to the hub.
func Prepare(o Options) ([]byte, error) {
	if _, err := o.check(); err != nil {
		return nil, err
	}
	q, err := o.request()
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(q, "", "  ")
}

// Accept takes the hub's answer to such a file.
func Accept(o Options, b []byte) (*Member, error) {
	pin, err := o.check()
	if err != nil {
		return nil, err
	}
	var answer desk.JoinAnswer
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, refusal.New(refusal.Invalid, "ANSWER_INVALID", "%.200s", err.Error())
	}
	return o.accept(pin, answer)
}

// pinned verifies a chain whose root an invitation names.
func pinned(chain []*x509.Certificate, pin string, now time.Time) error {
	if len(chain) < 2 || authority.Pin(chain[len(chain)-1]) != pin {
		return refusal.New(refusal.Denied, "HUB_UNKNOWN", "")
	}
	roots := x509.NewCertPool()
	roots.AddCert(chain[len(chain)-1])
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: authority.ServerName, CurrentTime: now})
	return timely(err, chain[0], now)
}

// timely says that a clock is wrong where a certificate seems to have ended or not to have
// begun: the hub's are made anew long before they end.
func timely(err error, cert *x509.Certificate, now time.Time) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return refusal.New(refusal.Invalid, "CLOCK_WRONG", "agent %s, certificate %s – %s", now.UTC().Format(time.RFC3339), cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return &refusal.Refusal{Kind: refusal.Denied, Code: "HUB_UNKNOWN", Err: err}
	}
	return nil
}

// accept keeps an answer once all of it fits: the authority is the invitation's, and the
// certificate is the authority's for this agent's key.
func (o *Options) accept(pin string, answer desk.JoinAnswer) (*Member, error) {
	m := &Member{JoinAnswer: answer, URL: o.URL, dir: o.Dir, now: o.Now}
	if err := m.load(); err != nil {
		return nil, refusal.New(refusal.Invalid, "ANSWER_INVALID", "%.200s", err.Error())
	}
	if authority.Pin(m.hub) != pin {
		return nil, refusal.New(refusal.Denied, "HUB_UNKNOWN", "")
	}
	_, err := m.pair.Leaf.Verify(x509.VerifyOptions{Roots: m.roots, CurrentTime: o.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err := timely(err, m.pair.Leaf, o.Now()); err != nil {
		return nil, err
	}
	return m, m.save()
}

func (m *Member) load() error {
	block, _ := pem.Decode([]byte(m.Authority))
	if block == nil {
		return errors.New("authority: not PEM")
	}
	var err error
	if m.hub, err = x509.ParseCertificate(block.Bytes); err != nil {
		return fmt.Errorf("authority: %w", err)
	}
	m.roots = x509.NewCertPool()
	m.roots.AddCert(m.hub)
	key, err := os.ReadFile(filepath.Join(m.dir, keyFile))
	if err != nil {
		return err
	}
	if m.pair, err = tls.X509KeyPair([]byte(m.Certificate), key); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	return nil
}

// replace puts a file in place of another, whole or not at all.
func replace(name string, b []byte) error {
	next := name + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) { // of a try that was cut off
		return err
	}
	if err := authority.WriteNew(next, b); err != nil {
		return err
	}
	return os.Rename(next, name)
}

func (m *Member) save() error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replace(filepath.Join(m.dir, joinedFile), b)
}

// Open gives the agent of a folder.
func Open(dir string) (*Member, error) {
	b, err := os.ReadFile(filepath.Join(dir, joinedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, refusal.New(refusal.Unknown, "NOT_JOINED", "%s", dir)
	} else if err != nil {
		return nil, err
	}
	m := &Member{dir: dir, now: time.Now}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", joinedFile, err)
	}
	if err := m.load(); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return m, nil
}

// Left is how long the certificate still holds.
func (m *Member) Left() time.Duration { return m.pair.Leaf.NotAfter.Sub(m.now()) }

// Due reports whether the certificate wants to be renewed: a third of its time is left.
func (m *Member) Due() bool { return m.Left() < renewBefore }

func (m *Member) call(ctx context.Context, method, path string, in, out any) error {
	if m.Left() <= 0 {
		return refusal.New(refusal.Denied, "CERTIFICATE_ENDED", "%s", m.pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: authority.ServerName, InsecureSkipVerify: true, // VerifyConnection does it, and tells a wrong clock
		Certificates: []tls.Certificate{m.pair}, VerifyConnection: func(s tls.ConnectionState) error {
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: m.roots, DNSName: authority.ServerName, CurrentTime: m.now()})
			return timely(err, s.PeerCertificates[0], m.now())
		}}
	return call(ctx, config, m.now, method, m.URL, path, in, out)
}

// Renew gets another certificate for the same key.
func (m *Member) Renew(ctx context.Context) error {
	key, err := keyOf(m.dir)
	if err != nil {
		return err
	}
	asked, err := ask(key)
	if err != nil {
		return err
	}
	var answer desk.JoinAnswer
	if err := m.call(ctx, http.MethodPost, "/agent/certificate", map[string]string{"certificate_request": asked}, &answer); err != nil {
		return err
	}
	return m.replaced(answer)
}

// Propose asks the hub to register a source. kept is a file with just the bytes that leave
// the house for that; it stands there before they do.
func (m *Member) Propose(ctx context.Context, p state.Proposal) (r state.Request, kept string, err error) {
	b, err := json.Marshal(p)
	if err == nil {
		kept, err = m.keepSent(p.Name, b)
	}
	if err != nil {
		return r, "", err
	}
	return r, kept, m.call(ctx, http.MethodPost, "/agent/requests", json.RawMessage(b), &r)
}

// keepSent keeps what leaves the house for a source.
func (m *Member) keepSent(source string, b []byte) (name string, err error) {
	dir := filepath.Join(m.dir, sentFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	name = filepath.Join(dir, url.PathEscape(source)+m.now().UTC().Format("-20060102-150405.000000000.json"))
	return name, authority.WriteNew(name, b)
}

// Requests gives those that the agent has made, the newest first.
func (m *Member) Requests(ctx context.Context) (all []state.Request, err error) {
	return all, m.call(ctx, http.MethodGet, "/agent/requests", nil, &all)
}

// Released tells the hub that a retired source is read no more, and which SQL takes away what
// the agent may not.
func (m *Member) Released(ctx context.Context, source, remains string) error {
	var none struct{}
	return m.call(ctx, http.MethodPost, "/agent/released", desk.Released{Source: source, Remains: remains}, &none)
}

// Kept is when assignments were kept last; the zero time before that.
func (m *Member) Kept() time.Time {
	info, err := os.Stat(filepath.Join(m.dir, grantsFile))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Fetch gets what the agent's sources were granted, verifies and keeps it.
func (m *Member) Fetch(ctx context.Context) (*desk.Grants, error) {
	var signed desk.Granted
	if err := m.call(ctx, http.MethodGet, "/agent/assignments", nil, &signed); err != nil {
		return nil, err
	}
	g, err := m.verify(&signed)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(signed)
	if err != nil {
		return nil, err
	}
	return g, replace(filepath.Join(m.dir, grantsFile), b)
}

// Granted gives what was kept last; it needs no hub.
func (m *Member) Granted() (*desk.Grants, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, grantsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, refusal.New(refusal.Unknown, "SOURCE_NOT_GRANTED", "%s", m.Agent)
	} else if err != nil {
		return nil, err
	}
	var signed desk.Granted
	if err := json.Unmarshal(b, &signed); err != nil {
		return nil, refusal.New(refusal.Denied, "GRANT_FORGED", "%s", grantsFile)
	}
	return m.verify(&signed)
}

// LogPassword gives the password of the agent's user of the log, from the assignments that
// were kept last.
func (m *Member) LogPassword() (string, error) {
	g, err := m.Granted()
	if err != nil {
		return "", err
	}
	if g.Log == nil {
		return "", refusal.New(refusal.Unknown, "SOURCE_NOT_GRANTED", "%s", m.Agent)
	}
	key, err := keyOf(m.dir)
	if err != nil {
		return "", fmt.Errorf("key of the agent: %w", err)
	}
	password, err := authority.Unseal(key, m.Agent, g.Log.Sealed)
	if err != nil {
		return "", fmt.Errorf("password of the log's user %s: %w", g.Log.User, err)
	}
	return password, nil
}

func (m *Member) verify(signed *desk.Granted) (*desk.Grants, error) {
	var g desk.Grants
	if !authority.Verify(m.hub, signed.Payload, signed.Signature) || json.Unmarshal(signed.Payload, &g) != nil || g.Agent != m.Agent {
		return nil, refusal.New(refusal.Denied, "GRANT_FORGED", "%s", m.Agent)
	}
	return &g, nil
}

// kinds are what the statuses of HTTP mean.
var kinds = map[int]refusal.Kind{http.StatusBadRequest: refusal.Invalid, http.StatusNotFound: refusal.Unknown, http.StatusConflict: refusal.Conflict,
	http.StatusUnauthorized: refusal.Login, http.StatusForbidden: refusal.Denied, http.StatusServiceUnavailable: refusal.Later}

// call asks the hub once. Its refusals come back as such.
func call(ctx context.Context, config *tls.Config, now func() time.Time, method, base, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	target, err := url.JoinPath(base, path)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return err
	}
	req.Header.Set(desk.ClockHeader, now().UTC().Format(time.RFC3339Nano))
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if no, ok := errors.AsType[*refusal.Refusal](err); ok {
		return no
	} else if err != nil {
		return &refusal.Refusal{Kind: refusal.Later, Code: "HUB_UNREACHABLE", Detail: base, Err: err}
	}
	defer func() { _ = res.Body.Close() }() // read only
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return &refusal.Refusal{Kind: refusal.Later, Code: "HUB_UNREACHABLE", Detail: base, Err: err}
	}
	var answer struct {
		Data  json.RawMessage
		Error struct{ Code, Detail string }
	}
	if err := json.Unmarshal(b, &answer); err != nil || res.StatusCode != http.StatusOK && answer.Error.Code == "" {
		return refusal.New(refusal.Denied, "NOT_TRIBUTARY", "%s: %s", base, res.Status)
	}
	if res.StatusCode != http.StatusOK {
		return &refusal.Refusal{Kind: kinds[res.StatusCode], Code: answer.Error.Code, Detail: answer.Error.Detail}
	}
	return json.Unmarshal(answer.Data, out)
}
