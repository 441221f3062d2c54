package main

import (
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
	return alarm.NewKeeper(o)
}

func webhook(w config.Webhook, base string) (alarm.Webhook, error) {
	out := alarm.Webhook{Name: w.Name, Form: alarm.Form(w.Form), Page: base, Language: lang.Chinese}
	if w.Language == lang.English.Tag() {
		out.Language = lang.English
	}
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
