package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture"
	persons "github.com/tributary-cdc/tributary/capture/sample"
	"github.com/tributary-cdc/tributary/cmd/hub/joined"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/cmd/hub/state"
	"github.com/tributary-cdc/tributary/cmd/intake"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// servePage serves the agent's own page until the command is stopped.
func servePage(c *cobra.Command, usage catalogue, lang language, file *editedAgent, dir string) error {
	for _, name := range []string{"name", "engine", "host", "port", "database", "user", "first-start", "tables", "password-file"} {
		if c.Flags().Changed(name) {
			return wrongUsage(c, "USAGE_FLAG", "%s", addTexts[lang].other)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	page, err := intake.New(intake.Options{House: &house{usage: usage, file: file.name, dir: dir}, Org: file.Org, File: file.name, Logger: l})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	if _, err := fmt.Fprintf(c.OutOrStdout(), "%s\nhttp://%s%s\n", addTexts[lang].open, ln.Addr(), page.Start(lang)); err != nil {
		return errors.Join(err, ln.Close())
	}
	return serve(c.Context(), ln, page.Handler(), l)
}

// house does for the agent's own page what the questions in the terminal do.
type house struct {
	usage     catalogue
	file, dir string
	joined    string // the folder of the agent that proposes, once a source was added
}

// pageLimit bounds what the page waits for.
const pageLimit = 2*preflightLimit + sampleLimit

// addition gives the source that a person describes, checked as far as that needs no server.
func (h *house) addition(s intake.Server, lang language) (*addition, error) {
	file, err := openEdited(h.file)
	if err != nil {
		return nil, err
	}
	say := addTexts[lang]
	a := &addition{say: say, lang: lang, file: file, typed: &s.Password,
		s: newSource{Name: s.Name, Engine: s.Engine, Host: s.Host, Database: s.Database, User: s.User, Tables: []string{"*.*"}, FirstStart: firstStarts[1]}}
	wrong := func(field, what string) (*addition, error) {
		return nil, &problem{code: "USAGE_VALUE", text: field + ": " + what, class: errUsage}
	}
	if _, ok := catalog.SourceID(file.Org, s.Name); !ok {
		return wrong(say.askName, say.badName)
	}
	if file.has(s.Name) {
		return wrong(say.askName, say.taken)
	}
	if !slices.Contains(engines, s.Engine) {
		return wrong(say.askEngine, fmt.Sprintf(say.oneOf, strings.Join(engines, ", ")))
	}
	usual := "3306"
	if s.Engine == "postgres" {
		usual = "5432"
	} else {
		a.s.Database = ""
	}
	port, err := strconv.ParseUint(cmp.Or(s.Port, usual), 10, 16)
	if err != nil || port == 0 {
		return wrong(say.askPort, say.badPort)
	}
	a.s.Port = uint16(port)
	for _, needed := range []struct{ text, value string }{{say.askHost, s.Host}, {say.askUser, s.User}, {say.askDatabase, cmp.Or(a.s.Database, map[bool]string{true: "", false: "-"}[s.Engine == "postgres"])}} {
		if needed.value == "" {
			return wrong(needed.text, say.empty)
		}
	}
	a.s.Sealed = file.sealedFile(s.Name)
	_, _, err = file.keyFile()
	return a, err
}

// seen tells what a look has shown.
func (h *house) seen(r *checked, lang language) (*intake.Seen, error) {
	seen := &intake.Seen{Server: oneLine(r.Server)}
	for _, t := range r.Tables {
		seen.Tables = append(seen.Tables, intake.Table{ID: t.ID, Rows: t.Rows, Bytes: t.Bytes})
	}
	for _, f := range r.Findings {
		seen.Findings = append(seen.Findings, intake.Finding{Severity: f.Severity.String(), Code: f.Code, Object: oneLine(f.Object), Found: oneLine(f.Found), Meaning: f.Meaning, Consequence: f.Consequence, ToDo: f.ToDo})
	}
	var script bytes.Buffer
	err := printOrders(&script, preflightTexts[lang], []checked{*r})
	seen.Script = script.String()
	return seen, err
}

// Look implements intake.House.
func (h *house) Look(ctx context.Context, s intake.Server, lang language) (*intake.Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, pageLimit)
	defer cancel()
	a, err := h.addition(s, lang)
	if err != nil {
		return nil, err
	}
	r, err := a.check(ctx, a.s, h.dir)
	if err != nil {
		return nil, err
	}
	seen, err := h.seen(r, lang)
	if err != nil {
		return nil, err
	}
	src, agent, err := a.source(h.dir)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(seen.Tables))
	for i, t := range seen.Tables {
		ids[i] = t.ID
	}
	o := preflightOptions(agent, *src, s.Password)
	columns, err := persons.Columns(ctx, persons.Options{MySQL: o.MySQL, Postgres: o.Postgres}, ids)
	if err != nil {
		return nil, err
	}
	for i := range seen.Tables {
		seen.Tables[i].Columns = columns[seen.Tables[i].ID]
	}
	return seen, nil
}

// chosen gives the source with what is to be sent of it.
func (h *house) chosen(s intake.Server, c intake.Choice, lang language) (*addition, error) {
	a, err := h.addition(s, lang)
	if err != nil {
		return nil, err
	}
	if len(c.Datasets) == 0 {
		return nil, &problem{code: "REQUEST_TABLES", class: errUsage}
	}
	a.s.Tables, a.s.Datasets = nil, map[string]string{}
	for table, dataset := range c.Datasets {
		if !catalog.IsDataset(dataset) {
			return nil, refusal.New(refusal.Invalid, "DATASET_NAME", "%.80q, %.80q", dataset, table)
		}
		a.s.Tables = append(a.s.Tables, capture.Literal(table))
		if dataset != h.Dataset(table) {
			a.s.Datasets[table] = dataset
		}
	}
	slices.Sort(a.s.Tables)
	if c.Load {
		a.s.FirstStart = firstStarts[0]
	}
	return a, nil
}

// Choose implements intake.House.
func (h *house) Choose(ctx context.Context, s intake.Server, c intake.Choice, lang language) (*intake.Seen, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pageLimit)
	defer cancel()
	a, err := h.chosen(s, c, lang)
	if err != nil {
		return nil, nil, err
	}
	r, err := a.check(ctx, a.s, h.dir)
	if err != nil {
		return nil, nil, err
	}
	seen, err := h.seen(r, lang)
	if err != nil {
		return nil, nil, err
	}
	src, agent, err := a.source(h.dir)
	if err != nil {
		return nil, nil, err
	}
	var p *state.Proposal
	if p, err = look(ctx, agent, *src, lang, sourceTexts[lang], false); err != nil {
		return nil, nil, err
	}
	p.Standing = catalog.Authoritative
	b, err := json.Marshal(p)
	return seen, b, err
}

// Add implements intake.House.
func (h *house) Add(_ context.Context, s intake.Server, c intake.Choice, lang language) (next intake.Next, err error) {
	a, err := h.chosen(s, c, lang)
	if err != nil {
		return next, err
	}
	if err := a.keep(s.Password); err != nil {
		return next, err
	}
	text, _, err := a.file.with(a.s, a.joinedFolder(h.dir))
	if err == nil {
		err = a.file.write(text)
	}
	if err != nil {
		return next, errors.Join(err, a.drop())
	}
	if h.joined = a.joinedFolder(h.dir); h.joined != "" {
		return intake.Next{Propose: true, Commands: []string{fmt.Sprintf("tributary source propose %s %s --dir %s", h.file, s.Name, h.joined)}}, nil
	}
	return intake.Next{Commands: []string{"tributary agent --config " + h.file}}, nil
}

// Propose implements intake.House.
func (h *house) Propose(ctx context.Context, leaves []byte, lang language) (next intake.Next, err error) {
	m, err := joined.Open(h.joined)
	if err != nil {
		return next, err
	}
	var p state.Proposal
	if err := json.Unmarshal(leaves, &p); err != nil {
		return next, err
	}
	r, kept, err := m.Propose(ctx, p)
	if err != nil {
		return next, err
	}
	say := sourceTexts[lang]
	return intake.Next{Done: fmt.Sprintf(say.sent+" "+say.kept, r.ID, kept), Commands: []string{"tributary source list --dir " + h.joined, "tributary source fetch --dir " + h.joined, "tributary agent --config " + h.file}}, nil
}

// Dataset implements intake.House.
func (h *house) Dataset(table string) string { return table[strings.LastIndexByte(table, '.')+1:] }

// Told implements intake.House.
func (h *house) Told(err error, lang language) intake.Trouble {
	if found := config.Findings(err); errors.Is(err, config.ErrInvalid) && len(found) > 0 {
		_, do := codes.Explain(found[0].Code, lang)
		return intake.Trouble{Code: found[0].Code, What: found[0].In(lang), Do: do}
	}
	if no, ok := errors.AsType[*refusal.Refusal](err); ok {
		what, do := no.In(lang)
		return intake.Trouble{Code: no.Code, What: what, Do: do}
	}
	code, hint := codeOf(err)
	what, do := codes.Explain(code, lang)
	t := intake.Trouble{Code: code, What: what, Do: do, Words: hint}
	if p, ok := errors.AsType[*problem](err); ok {
		t.What, t.Words = cmp.Or(p.text, what), p.words
	}
	return t
}
