package alarm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// postOffice is a mail server that speaks SMTP (RFC 5321, 3207, 4954) on loopback, as strictly
// as a test needs it.
type postOffice struct {
	t        *testing.T
	ln       net.Listener
	tls      *tls.Config
	secure   bool   // TLS from the first byte on
	starttls bool   // is offered
	ways     string // of logging in
	password string
	refuses  string // an address

	mu     sync.Mutex
	taken  []string // letters
	heard  []string // commands
	inside []bool   // whether TLS protected each
}

// authority gives a server's certificate and what it is verified by.
func authority(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(own)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// open makes it listen, and gives a Mail that knows it.
func (p *postOffice) open(t *testing.T) *Mail {
	t.Helper()
	p.t = t
	cert, pool := authority(t, "smtp.example.cn")
	p.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
	var err error
	if p.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := p.ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = p.ln.Close(); running.Wait() })
	return &Mail{Name: "duty", Host: "127.0.0.1", Port: uint16(p.ln.Addr().(*net.TCPAddr).Port), Protection: StartTLS, TLS: &tls.Config{RootCAs: pool, ServerName: "smtp.example.cn", MinVersion: tls.VersionTLS12},
		User: "tributary", Password: p.password, From: "hub@example.cn", To: []string{"duty@example.cn", "night@example.cn"}, Language: language.Chinese, Page: "https://hub"}
}

// serve speaks with one client until it goes or breaks the rules.
func (p *postOffice) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	inside := p.secure
	if inside {
		conn = tls.Server(conn, p.tls)
	}
	c := textproto.NewConn(conn)
	say := func(format string, args ...any) { _ = c.PrintfLine(format, args...) }
	say("220 smtp.example.cn ESMTP")
	known := p.password == ""
	recipients := 0
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.heard, p.inside = append(p.heard, line), append(p.inside, inside)
		refuses := p.refuses
		p.mu.Unlock()
		word, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(word) {
		case "EHLO":
			say("250-smtp.example.cn")
			if p.starttls && !inside {
				say("250-STARTTLS")
			}
			if p.ways != "" && (inside || !p.starttls) {
				say("250-AUTH %s", p.ways)
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go ahead")
			conn, inside = tls.Server(conn, p.tls), true
			c = textproto.NewConn(conn)
		case "AUTH":
			if known = p.login(c, rest); known {
				say("235 welcome")
			} else {
				say("535 5.7.8 authentication failed")
			}
		case "MAIL":
			if !known {
				say("530 5.7.0 authentication required")
				return
			}
			recipients = 0
			say("250 ok")
		case "RCPT":
			if refuses != "" && strings.Contains(rest, refuses) {
				say("550 5.1.1 nobody of that name")
				continue
			}
			recipients++
			say("250 ok")
		case "DATA":
			if recipients == 0 {
				say("554 no valid recipients")
				continue
			}
			say("354 go on")
			b, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.taken = append(p.taken, string(b))
			p.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 what?")
		}
	}
}

func (p *postOffice) login(c *textproto.Conn, rest string) bool {
	way, first, _ := strings.Cut(rest, " ")
	read := func(text string) string {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			p.t.Error(err)
		}
		return string(b)
	}
	ask := func(what string) string {
		_ = c.PrintfLine("334 %s", base64.StdEncoding.EncodeToString([]byte(what)))
		line, err := c.ReadLine()
		if err != nil {
			return ""
		}
		return read(line)
	}
	switch way {
	case "PLAIN":
		return read(first) == "\x00tributary\x00"+p.password
	case "LOGIN":
		return ask("Username:") == "tributary" && ask("Password:") == p.password
	}
	return false
}

// TestMail: letters come to a real server with TLS and login, whole and readable; a way that
// isn't protected, a server of another name, a wrong password and a refused address are told,
// and the password stands in none of it.
func TestMail(t *testing.T) {
	m := Message{ID: 7, Kind: Gap, Object: "source 330106-a", Code: "SLOT_LOST", Detail: "x\r\nBcc: evil@example.cn\r\n.\r\n", At: time.Unix(1_800_000_000, 0), Sources: 3}
	const password = "pass'word 很长"
	for name, tt := range map[string]struct {
		office *postOffice
		change func(*Mail)
		wrong  string
	}{
		"starttls":           {&postOffice{starttls: true, ways: "LOGIN PLAIN", password: password}, nil, ""},
		"an old server":      {&postOffice{starttls: true, ways: "LOGIN", password: password}, nil, ""},
		"tls":                {&postOffice{secure: true, ways: "PLAIN", password: password}, func(m *Mail) { m.Protection = TLS }, ""},
		"no login":           {&postOffice{}, func(m *Mail) { m.Protection, m.User = Open, "" }, ""},
		"starttls is hidden": {&postOffice{ways: "PLAIN", password: password}, nil, "offers no STARTTLS"},
		"another name":       {&postOffice{starttls: true, ways: "PLAIN", password: password}, func(m *Mail) { m.TLS.ServerName = "evil.example" }, "evil.example"},
		"unknown authority":  {&postOffice{starttls: true, ways: "PLAIN", password: password}, func(m *Mail) { m.TLS.RootCAs = x509.NewCertPool() }, "certificate"},
		"wrong password":     {&postOffice{starttls: true, ways: "PLAIN", password: password}, func(m *Mail) { m.Password += "x" }, "535"},
		"nobody there":       {&postOffice{starttls: true, ways: "PLAIN", password: password, refuses: "night@"}, nil, "night@example.cn"},
		"away":               {&postOffice{}, func(m *Mail) { m.Port = 1 }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			p := tt.office
			to := p.open(t)
			if tt.change != nil {
				tt.change(to)
			}
			err := to.Tell(t.Context(), m)
			p.mu.Lock()
			defer p.mu.Unlock()
			if (err == nil) != (tt.wrong == "") || err != nil && (!strings.Contains(err.Error(), tt.wrong) || strings.Contains(err.Error(), password)) {
				t.Fatalf("%v, want %q", err, tt.wrong)
			}
			for i, line := range p.heard {
				if word, _, _ := strings.Cut(line, " "); to.Protection != Open && !p.inside[i] && word != "EHLO" && word != "STARTTLS" {
					t.Errorf("%q isn't protected", line)
				}
			}
			if err != nil {
				if len(p.taken) > 0 {
					t.Errorf("%v, and it was taken", err)
				}
				return
			}
			if len(p.taken) != 1 {
				t.Fatalf("%d letters", len(p.taken))
			}
			letterHas(t, p.taken[0], "[Tributary] 数据缺口 · 数据源 330106-a", "SLOT_LOST x  Bcc: evil@example.cn", "影响 3 个数据源", "查看详情: https://hub/alarms/7")
		})
	}
}

// letterHas reads a letter as its receiver does.
func letterHas(t *testing.T, raw, subject string, parts ...string) {
	t.Helper()
	read, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	got, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
	if err != nil || got != subject || read.Header.Get("Bcc") != "" || read.Header.Get("To") != "duty@example.cn, night@example.cn" {
		t.Errorf("%q, %v, want %q", got, err, subject)
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, read.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range append(parts, "\r\n") {
		if !strings.Contains(string(body), part) {
			t.Errorf("no %q in\n%s", part, body)
		}
	}
	for line := range strings.SplitSeq(raw, "\n") {
		if len(line) > 85 { // "Subject: " and one encoded word
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

// TestShifts: the shift that has ended last, and the one after it, also over days, where shifts
// are of different lengths, and in another zone than the
// machine's, and where a day has 23 hours.
func TestShifts(t *testing.T) {
	for _, tt := range []struct {
		at               []string
		zone, now, shift string
	}{
		{nil, "", "2026-03-02T00:29:59Z", "02-28 08:30 03-01 08:30"},
		{nil, "", "2026-03-02T00:30:00Z", "03-01 08:30 03-02 08:30"},
		{[]string{"20:30", "08:30"}, "Asia/Shanghai", "2026-03-02T12:00:00Z", "03-01 20:30 03-02 08:30"},
		{[]string{"08:30", "17:00"}, "", "2026-03-02T20:00:00Z", "03-02 08:30 03-02 17:00"},
		{[]string{"08:30"}, "Europe/Berlin", "2026-03-29T07:00:00Z", "03-28 08:30 03-29 08:30"},
	} {
		s, err := NewShifts(tt.at, tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		from, until := s.Last(now)
		if got := fmt.Sprint(from.Format("01-02 15:04"), " ", until.Format("01-02 15:04")); got != tt.shift {
			t.Errorf("%+v: %s", tt, got)
		}
		if f, u := s.Last(s.Next(until)); !f.Equal(until) || !u.Equal(s.Next(until)) {
			t.Errorf("%+v: after it %s - %s", tt, f, u)
		}
	}
	if f, u := (Shifts{}).Last(time.Now()); u.Sub(f) != 24*time.Hour {
		t.Errorf("%s - %s", f, u)
	}
	for _, bad := range [][2]string{{"25:00", ""}, {"08:30", "Asia/Hangzhou"}} {
		if _, err := NewShifts([]string{bad[0]}, bad[1]); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// TestReport: a report comes by mail and to a robot within its bounds, names who looks after
// what, and no name in it becomes markdown.
func TestReport(t *testing.T) {
	s, err := NewShifts(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	who := "[op](http://evil)"
	r := &Report{Kinds: []Counted{{Gap, 3, 1, 2}, {Lag, 40, 20, 31}}, Pending: 2}
	r.From, r.Until = s.Last(time.Unix(1_800_000_000, 0))
	for i := range 33 {
		a := Reported{ID: int64(i), Kind: Gap, Object: fmt.Sprintf("source 330106-s%d", i), Opened: r.From.Add(time.Hour)}
		if i == 0 {
			a.By = &who
		}
		r.Open = append(r.Open, a)
	}
	office := &postOffice{starttls: true, ways: "PLAIN", password: "secret"}
	to := office.open(t)
	if err := to.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	letterHas(t, office.taken[0], "[Tributary] 值班报告 01-14 08:30 – 01-15 08:30", "新增 43，恢复 21，未恢复 33", "数据缺口: 新增 3", "(op)(http://evil) 已确认", "330106-s9 (01-14 09:30): 无人确认", "另有 23 条", "2 项登记申请待审批", "https://hub/report?until=2027-01-15T00:30:00Z")
	for _, lang := range []language.Language{language.English, language.Chinese} {
		if text := r.Text(lang, "https://hub"); len(text) > maxMessage || strings.Contains(text, "[op]") || !strings.Contains(text, "/report?until=") {
			t.Errorf("%d bytes: %s", len(text), text)
		}
	}
}

// TestKeeperReports: the report of the shift that has ended goes to each robot and mail server
// once, again if it wasn't taken, and not at all long after.
func TestKeeperReports(t *testing.T) {
	w := newWorld(t)
	office := &postOffice{starttls: true, ways: "PLAIN", password: "secret", refuses: "night@"}
	to := office.open(t)
	var posted []string
	robot := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		posted = append(posted, string(b))
	}))
	t.Cleanup(robot.Close)
	zone := time.FixedZone("there", 3600)
	ended := w.now.Add(-30 * time.Minute).In(zone)
	b := &book{report: &Report{Pending: 3}, sent: map[string]bool{}}
	k, err := NewKeeper(KeeperOptions{Book: b, Watch: w.w.Snapshot, Webhooks: []Webhook{{Name: "program", Form: JSON, URL: robot.URL}}, Mails: []Mail{*to}, Shifts: Shifts{At: []int{ended.Hour()*60 + ended.Minute()}, Zone: zone}})
	if err != nil {
		t.Fatal(err)
	}
	look := func(letters, posts int) {
		t.Helper()
		w.look()
		if err := k.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		office.mu.Lock()
		defer office.mu.Unlock()
		if len(office.taken) != letters || len(posted) != posts {
			t.Errorf("%d letters and %d posts, want %d and %d", len(office.taken), len(posted), letters, posts)
		}
	}
	look(0, 1)
	office.mu.Lock()
	office.refuses = ""
	office.mu.Unlock()
	look(1, 1)
	look(1, 1)
	var got struct {
		Report Report `json:"report"`
	}
	if err := json.Unmarshal([]byte(posted[0]), &got); err != nil || got.Report.Pending != 3 || !got.Report.Until.Equal(ended.Truncate(time.Minute)) {
		t.Errorf("%s, %v", posted[0], err)
	}
	w.now = w.now.Add(2 * time.Hour)
	clear(b.sent)
	look(1, 1)
}
