package alarm

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/smtp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
	"github.com/tributary-cdc/tributary/stream/peer"
)

// Protection is how the way to a mail server is protected.
type Protection string

// The protections.
const (
	StartTLS Protection = "starttls" // the server must offer it (RFC 3207), usually at port 587
	TLS      Protection = "tls"      // from the first byte on (RFC 8314), usually at port 465
	Open     Protection = "none"     // on loopback only
)

// Mail is a mail server with those who are written to.
type Mail struct {
	Name string
	Host string
	Port uint16
	// Protection of the way; the server's certificate is always verified, by Roots if it is set.
	Protection Protection
	TLS        *tls.Config
	// User and Password log in; nobody does with an empty User.
	User, Password string
	From           string
	To             []string
	Language       language.Language
	// Page is the hub's own address, to which letters lead; empty for none.
	Page string
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// letter is what is sent.
type letter struct{ subject, text string }

// markdown is what a letter has no use for.
var (
	links  = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)
	quotes = regexp.MustCompile(`(?m)^(### |> )`)
)

// unmarked makes a plain text of one of ours in markdown.
func unmarked(s string) string {
	return strings.ReplaceAll(quotes.ReplaceAllString(links.ReplaceAllString(s, "$1: $2"), ""), "**", "")
}

// ID names the mail server among all to whom messages go.
func (m *Mail) ID() string { return "mail " + m.Name }

// Tell sends a message.
func (m *Mail) Tell(ctx context.Context, msg Message) error {
	if m.Page != "" {
		msg.URL = fmt.Sprintf("%s/alarms/%d", m.Page, msg.ID)
	}
	return m.send(ctx, letter{"[Tributary] " + msg.title(m.Language), unmarked(msg.Text(m.Language))})
}

// Report sends a report.
func (m *Mail) Report(ctx context.Context, r *Report) error {
	return m.send(ctx, letter{"[Tributary] " + r.Title(m.Language), unmarked(r.Text(m.Language, m.Page))})
}

// sending bounds the time of a letter.
const sending = 30 * time.Second

// send hands a letter over. No error holds the password.
func (m *Mail) send(ctx context.Context, l letter) error {
	ctx, cancel := context.WithTimeout(ctx, sending)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))))
	if err != nil {
		return fmt.Errorf("mail %s: %w", m.Name, err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // what waits ends
	if err := m.hand(conn, l); err != nil {
		return fmt.Errorf("mail %s: %w", m.Name, errors.Join(err, ctx.Err()))
	}
	return nil
}

func (m *Mail) hand(conn net.Conn, l letter) (err error) {
	secure := m.TLS.Clone()
	if secure == nil {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if secure.ServerName == "" {
		secure.ServerName = m.Host
	}
	if m.Protection == TLS {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, m.Host)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer func() {
		if err != nil {
			_ = c.Close() // the letter's error is told
		}
	}()
	if m.Protection == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errors.New("the server offers no STARTTLS")
		}
		if err := c.StartTLS(secure); err != nil {
			return err
		}
	}
	if m.User != "" {
		if err := c.Auth(m.auth(c)); err != nil {
			return fmt.Errorf("log in as %s: %w", m.User, err)
		}
	}
	if err := c.Mail(m.From); err != nil {
		return err
	}
	for _, to := range m.To {
		if err := c.Rcpt(to); err != nil {
			return fmt.Errorf("to %s: %w", to, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err = io.WriteString(w, m.message(l)); err == nil {
		err = w.Close()
	}
	if err != nil {
		return err
	}
	_ = c.Quit() // the server has taken it
	return nil
}

// auth chooses the way to log in: PLAIN, and LOGIN where that is all that there is.
func (m *Mail) auth(c *smtp.Client) smtp.Auth {
	if _, ways := c.Extension("AUTH"); !strings.Contains(" "+ways+" ", " PLAIN ") && strings.Contains(" "+ways+" ", " LOGIN ") {
		return &loginAuth{m.User, m.Password}
	}
	return smtp.PlainAuth("", m.User, m.Password, m.Host)
}

// loginAuth is the way of old servers: user and password are asked for one after the other.
type loginAuth struct{ user, password string }

// Start implements smtp.Auth.
func (a *loginAuth) Start(s *smtp.ServerInfo) (string, []byte, error) {
	if !s.TLS && !peer.Loopback(s.Name) {
		return "", nil, errors.New("no password is sent without TLS")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth.
func (a *loginAuth) Next(asked []byte, more bool) ([]byte, error) {
	switch {
	case !more:
		return nil, nil
	case strings.HasPrefix(strings.ToLower(string(asked)), "user"):
		return []byte(a.user), nil
	case strings.HasPrefix(strings.ToLower(string(asked)), "pass"):
		return []byte(a.password), nil
	}
	return nil, errors.New("the server asks for something else than user and password")
}

// message gives a letter as RFC 5322 has it, its text in base64 so that no line is too long
// and none is a command.
func (m *Mail) message(l letter) string {
	now := time.Now()
	if m.Now != nil {
		now = m.Now()
	}
	var b strings.Builder
	for _, h := range [][2]string{{"From", m.From}, {"To", strings.Join(m.To, ", ")}, {"Subject", strings.ReplaceAll(mime.BEncoding.Encode("utf-8", l.subject), "?= =?", "?=\r\n =?")}, {"Date", now.Format(time.RFC1123Z)},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "base64"}, {"Auto-Submitted", "auto-generated"}} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	text := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(l.text, "\n", "\r\n")))
	for len(text) > 0 {
		n := min(76, len(text))
		b.WriteString("\r\n" + text[:n])
		text = text[n:]
	}
	b.WriteString("\r\n")
	return b.String()
}
