package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/cmd/console"
	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
	"github.com/tributary-cdc/tributary/cmd/hub/authority"
	"github.com/tributary-cdc/tributary/cmd/hub/desk"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/cmd/internal/web"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/peer"
	"github.com/tributary-cdc/tributary/stream/status"
)

// runHub serves the pages until ctx ends, and prints their address and, as long as the
// hub has no administrator, the link that makes one. Data flows without it.
func runHub(ctx context.Context, file string, out io.Writer, l *slog.Logger) error {
	var c config.Hub
	if err := config.Load(file, &c); err != nil {
		return err
	}
	client, err := newClient(c.Log, "tributary-hub")
	if err != nil {
		return err
	}
	defer client.Close()
	topics := make([]log.Partition, len(c.Orgs))
	for i, org := range c.Orgs {
		topics[i] = statusTopic(org)
	}
	board, err := status.NewBoard(status.BoardOptions{Topics: topics, Logger: l, Org: ownerOf, Fetcher: func(p log.Partition) log.Fetcher { return client.Fetcher(p, 1<<20) }})
	if err != nil {
		return err
	}
	viewers := make([]*postgres.Viewer, len(c.Stores))
	stores, watched := make([]console.Store, len(c.Stores)), make([]watch.Store, len(c.Stores))
	for i, s := range c.Stores {
		store, err := newStore(s.StoreDB)
		if err != nil {
			return fmt.Errorf("store %s: %w", s.Name, err)
		}
		viewers[i] = store.Viewer()
		stores[i] = console.Store{Name: s.Name, Viewer: viewers[i]}
		watched[i] = watch.Store{Name: s.Name, Viewer: viewers[i], Orgs: s.Orgs}
	}
	parts := hubParts{config: &c, board: board, client: client, log: l, stores: watched}
	parts.page = console.Options{Board: board, Stores: stores, Logger: l}
	served, err := parts.listen(ctx, out)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { board.Run(ctx); return nil })
	if parts.watch != nil {
		g.Go(func() error { parts.watch.Run(ctx); return nil })
		g.Go(func() error { parts.keeper.Run(ctx); return nil })
		g.Go(func() error { parts.historian.Run(ctx); return nil })
		g.Go(func() error { parts.chronicler.Run(ctx); return nil })
		g.Go(func() error { parts.archivist.Run(ctx); return nil })
	}
	for _, s := range served {
		g.Go(func() error { return serve(ctx, s.ln, s.handler, l) })
	}
	err = g.Wait()
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer stop()
	for _, v := range viewers {
		err = errors.Join(err, v.Close(closing))
	}
	if parts.state != nil {
		parts.state.Close()
	}
	return err
}

// ownerOf tells whose a topic is.
func ownerOf(p log.Partition) string {
	org, _ := kafka.OrgOf(p.Topic) // an org's, as they are made here
	return org
}

// hubParts is what a hub's listeners share.
type hubParts struct {
	config *config.Hub
	board  *status.Board
	client *kafka.Client
	page   console.Options
	stores []watch.Store
	state  *state.State // nil without accounts
	watch  *watch.Watch // nil without accounts
	keeper *alarm.Keeper
	// historian keeps how sources were, chronicler what happened to them, archivist how their
	// tables have changed.
	historian  *watch.Historian
	chronicler *watch.Chronicler
	archivist  *watch.Archivist
	log        *slog.Logger
}

// listener is an address with what answers there.
type listener struct {
	ln      net.Listener
	handler http.Handler
}

// listen takes the hub's addresses and prints where people come: without accounts one of
// loopback, else also that of agents.
func (h *hubParts) listen(ctx context.Context, out io.Writer) ([]listener, error) {
	c := h.config
	if c.Accounts == config.AccountsNone {
		page, err := console.New(h.page)
		if err != nil {
			return nil, err
		}
		ln, err := listen(c.HTTP)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(out, "http://%s/\n", ln.Addr()); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
		return []listener{{ln, hubHandler(page.Handler(), h)}}, nil
	}
	var err error
	if h.state, err = openState(ctx, c); err != nil {
		return nil, err
	}
	served, err := h.withAccounts(ctx, out)
	if err != nil {
		h.state.Close()
	}
	return served, err
}

// withAccounts serves pages with login, and agents.
func (h *hubParts) withAccounts(ctx context.Context, out io.Writer) (served []listener, err error) {
	c := h.config
	defer func() {
		if err != nil {
			for _, s := range served {
				err = errors.Join(err, s.ln.Close())
			}
			served = nil
		}
	}()
	known, err := h.state.Authority(ctx)
	if err != nil {
		return nil, err
	}
	auth, err := authority.Open(authority.Options{Dir: c.DataDir, Known: known, Keep: func(der []byte) ([]byte, error) { return h.state.SetAuthority(ctx, der) }})
	if err != nil {
		return nil, err
	}
	own, err := auth.Served(append([]string{"localhost", "127.0.0.1", "::1"}, c.Names...))
	if err != nil {
		return nil, err
	}
	web, err := listen(c.HTTP)
	if err != nil {
		return nil, err
	}
	served = append(served, listener{ln: web})
	if h.watch, err = watch.New(watch.Options{Board: h.board, Register: h.state, Stores: h.stores, Late: c.Alarms.Late, Unheard: c.Alarms.Unheard, Promised: c.Alarms.Freshness, Logger: h.log,
		OnOrg: func(org string) { h.board.Follow(statusTopic(org)) }}); err != nil {
		return served, err
	}
	o := desk.Options{Watch: h.watch.Snapshot, State: h.state, Authority: auth, Topics: hubTopics{h.client, c}, Hosts: c.Names, Logger: h.log}
	if c.Rights == config.RightsMade && !c.Log.Embedded {
		o.Rights = h.client
	}
	if o.Shifts, err = shifts(c); err != nil {
		return served, err
	}
	if o.Secure = c.TLS != nil || !config.OnLoopback(c.HTTP); o.Secure {
		get := own.Get
		if c.TLS != nil {
			cert, err := tls.LoadX509KeyPair(c.TLS.File, c.TLS.Key)
			if err != nil {
				return served, &problem{code: "TLS_FILES", words: err.Error(), class: errUsage}
			}
			get = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }
		}
		served[0].ln = tls.NewListener(web, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get, NextProtos: []string{"http/1.1"}})
	}
	var agents net.Listener
	if c.Agents != "" {
		if agents, err = listen(c.Agents); err != nil {
			return served, err
		}
		served = append(served, listener{ln: agents})
		o.Agents = "https://" + h.told(agents.Addr())
	}
	d, err := desk.New(o)
	if err != nil {
		return served, err
	}
	h.page.Zone = o.Shifts.Zone
	page, err := console.New(h.page)
	if err != nil {
		return served, err
	}
	served[0].handler = hubHandler(d.Handler(page.Behind()), h)
	if agents != nil {
		served[1] = listener{tls.NewListener(agents, d.AgentTLS(own)), d.AgentHandler()}
	}
	scheme := "http"
	if o.Secure {
		scheme = "https"
	}
	base := scheme + "://" + h.told(web.Addr())
	if h.keeper, err = h.newKeeper(base); err != nil {
		return served, err
	}
	if h.historian, err = watch.NewHistorian(watch.HistorianOptions{Diary: h.state, Watch: h.watch.Snapshot, Logger: h.log}); err != nil {
		return served, err
	}
	if h.chronicler, err = watch.NewChronicler(watch.ChroniclerOptions{Chronicle: h.state, Watch: h.watch.Snapshot, Logger: h.log}); err != nil {
		return served, err
	}
	if h.archivist, err = watch.NewArchivist(watch.ArchivistOptions{Archive: h.state, Watch: h.watch.Snapshot, Logger: h.log,
		Topic:   func(org string) log.Partition { return log.Partition{Topic: kafka.Schemas(org)} },
		Fetcher: func(p log.Partition) log.Fetcher { return h.client.Fetcher(p, 1<<20) }}); err != nil {
		return served, err
	}
	lines := base + "/\n"
	link, err := h.state.FirstLink(ctx)
	if err != nil {
		return served, err
	}
	if link != "" {
		lines += base + "/setup?link=" + link + "\n"
	}
	_, err = io.WriteString(out, lines)
	return served, err
}

// told gives an address as others are told it: on loopback as it is, else by the first
// name.
func (h *hubParts) told(addr net.Addr) string {
	a := addr.(*net.TCPAddr) // of a TCP listener
	if a.IP.IsLoopback() || len(h.config.Names) == 0 {
		return a.String()
	}
	return net.JoinHostPort(h.config.Names[0], strconv.Itoa(a.Port))
}

// hubTopics makes the topics of orgs whose sources are approved.
type hubTopics struct {
	client *kafka.Client
	config *config.Hub
}

// Make implements desk.Topics.
func (t hubTopics) Make(ctx context.Context, org string) (int, error) {
	o := kafka.TopicOptions{Partitions: t.config.Partitions, Replication: 1}
	durable := t.config.Log.Durability == config.Replicated
	if durable {
		o.Replication = 3
	}
	err := t.client.CreateTopics(ctx, org, o)
	if err == nil {
		err = t.client.CheckTopics(ctx, org)
	}
	if err == nil && durable {
		err = t.client.CheckDurable(ctx, org)
	}
	if err != nil {
		return 0, err
	}
	return t.client.Partitions(ctx, kafka.Changes(org))
}

// Changes implements desk.Topics.
func (hubTopics) Changes(org string) string { return kafka.Changes(org) }

// passedOn are headers by which a proxy says for whom it asks.
var passedOn = []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"}

// ownMachine lets only this machine's programs in, and none that asks for somebody else, as far
// as it says so.
func ownMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		other := slices.ContainsFunc(passedOn, func(h string) bool { return r.Header.Get(h) != "" })
		if other || !peer.Loopback(web.Host(r.RemoteAddr)) || !peer.Loopback(web.Host(r.Host)) {
			http.Error(w, "for programs of the hub's machine only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hubHandler joins the page with what every role answers.
func hubHandler(page http.Handler, h *hubParts) http.Handler {
	board := h.board
	figures := []prometheus.Collector{collector(func(out chan<- prometheus.Metric) { counter(out, statusDropped, board.Dropped()) })}
	if h.watch != nil {
		figures = append(figures, hubMetrics(h.watch.Snapshot, h.open))
	}
	own := handler(answers{
		status: func() report { return report{Role: "hub"} },
		ready: func() error {
			err := hubReady(board.Readings())
			if h.state != nil {
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				err = errors.Join(err, h.state.Alive(ctx))
			}
			return err
		},
		figures: figures,
	})
	mux := http.NewServeMux()
	for _, path := range []string{"/metrics", "/-/healthy", "/-/ready", "/debug/pprof/"} {
		mux.Handle("GET "+path, ownMachine(own))
	}
	mux.Handle("/", page)
	return mux
}

// hubReady: every status topic has been read to its end once.
func hubReady(topics []status.Reading) error {
	var all []error
	for _, t := range topics {
		switch {
		case t.CaughtUp, t.Missing: // an org that sends nothing yet
		case t.Error != "":
			all = append(all, fmt.Errorf("topic %s: %s", t.Topic, t.Error))
		default:
			all = append(all, fmt.Errorf("topic %s isn't read to its end yet", t.Topic))
		}
	}
	return errors.Join(all...)
}
