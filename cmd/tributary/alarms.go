package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	lang "github.com/tributary-cdc/tributary/cmd/internal/language"
)

// newKeeper makes what keeps the hub's alarms and sends messages, which lead to the page at
// base.
func (h *hubParts) newKeeper(base string) (*alarm.Keeper, error) {
	o := alarm.KeeperOptions{Book: h.state, Watch: h.watch.Snapshot, Rules: alarm.Rules{Retention: h.config.Alarms.Retention}, Holds: h.config.Alarms.After, Logger: h.log}
	if o.Holds > 0 && o.Holds < 5*time.Second {
		o.Every = o.Holds
	}
	for _, w := range h.config.Alarms.Webhooks {
		hook, err := webhook(w, base)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", w.Name, err)
		}
		o.Webhooks = append(o.Webhooks, hook)
	}
	for _, m := range h.config.Alarms.Mail {
		server, err := mailServer(m, base)
		if err != nil {
			return nil, fmt.Errorf("mail %s: %w", m.Name, err)
		}
		o.Mails = append(o.Mails, server)
	}
	var err error
	if o.Shifts, err = shifts(h.config); err != nil {
		return nil, err
	}
	return alarm.NewKeeper(o)
}

func shifts(c *config.Hub) (alarm.Shifts, error) {
	return alarm.NewShifts(c.Alarms.Report.At, c.Alarms.Report.Zone)
}

func mailServer(m config.Mail, base string) (alarm.Mail, error) {
	out := alarm.Mail{Name: m.Name, Host: m.Host, Port: m.Port, Protection: alarm.Protection(m.TLS), User: m.User, From: m.From, To: m.To, Page: base, Language: spoken(m.Language)}
	if m.CAFile != "" {
		b, err := os.ReadFile(m.CAFile)
		if err != nil {
			return out, err
		}
		out.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		if !out.TLS.RootCAs.AppendCertsFromPEM(b) {
			return out, fmt.Errorf("%s: no certificate in PEM", m.CAFile)
		}
	}
	if m.User == "" {
		return out, nil
	}
	var err error
	out.Password, err = m.Read()
	return out, err
}

// spoken gives the language of messages: Chinese unless the file says otherwise.
func spoken(tag string) lang.Language {
	if tag == lang.English.Tag() {
		return lang.English
	}
	return lang.Chinese
}

func webhook(w config.Webhook, base string) (alarm.Webhook, error) {
	out := alarm.Webhook{Name: w.Name, Form: alarm.Form(w.Form), Page: base, Language: spoken(w.Language)}
	var err error
	if out.URL, err = w.Read(); err != nil {
		return out, err
	}
	if w.SignFile != "" {
		b, err := os.ReadFile(w.SignFile)
		if err != nil {
			return out, err
		}
		out.Secret = strings.TrimSpace(string(b))
	}
	return out, nil
}
