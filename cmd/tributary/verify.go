package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/cmd/columns"
	"github.com/tributary-cdc/tributary/cmd/internal/codes"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/sinks/verify"
)

// verification is what tributary verify is asked for.
type verification struct {
	say           catalogue
	text          verifyText
	lang          language
	source, table string
	agent, file   string
	repair        bool
	without       []string
	rows          int
	format        string
}

func verifyCommand(say catalogue, lang language) *cobra.Command {
	v := verification{say: say, text: verifyTexts[lang], lang: lang}
	c := &cobra.Command{Use: "verify SOURCE [TABLE]", Short: v.text.short, Long: v.text.long, Args: say.takes("SOURCE", "[TABLE]"),
		Example: "tributary verify 330106-xueji --store worker.yml\ntributary verify 330106-xueji xueji.student --store worker.yml --repair\ntributary verify 330106-xueji --last --store worker.yml --output json"}
	f := c.Flags()
	f.StringVar(&v.agent, "agent", "http://127.0.0.1:8061", say.tableAgent)
	f.StringVar(&v.file, "store", "", v.text.store)
	f.BoolVar(&v.repair, "repair", false, v.text.repair)
	f.StringArrayVar(&v.without, "without", nil, v.text.without)
	last := f.Bool("last", false, v.text.last)
	f.IntVar(&v.rows, "rows", 20, v.text.rows)
	f.StringVar(&v.format, "output", "table", say.output)
	c.RunE = func(c *cobra.Command, args []string) error {
		v.source = args[0]
		if len(args) > 1 {
			v.table = args[1]
		}
		if err := say.oneOf(c, "--output", v.format, outputs...); err != nil {
			return err
		}
		if err := say.address(c, "--agent", v.agent); err != nil {
			return err
		}
		if len(v.without) > 0 && v.table == "" {
			return wrongUsage(c, "USAGE_FLAG", "%s", v.text.whichTable)
		}
		if *last && v.file == "" {
			return wrongUsage(c, "USAGE_FLAG", say.missingFlag, "--store FILE")
		}
		var store *postgres.Store
		if v.file != "" {
			var file config.Worker
			err := config.Load(v.file, &file)
			if err == nil {
				store, err = newStore(file.Store)
			}
			if err != nil {
				return err
			}
		}
		if *last {
			found, err := store.Verifications(c.Context(), postgres.Wanted{Source: v.source, Table: v.table, Newest: true, Rows: v.rows})
			if err = errors.Join(err, store.Close()); err != nil {
				return err
			}
			return v.print(c.OutOrStdout(), verified{Tables: found})
		}
		return v.order(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), store)
	}
	return c
}

// verified is what tributary verify has found.
type verified struct {
	ID      string          `json:"verification,omitempty"`
	Tables  []verify.Report `json:"tables"`
	Refused []refusedTable  `json:"refused,omitempty"`
}

// order gives the order and, with a store, waits for what that finds.
func (v *verification) order(ctx context.Context, out, notes io.Writer, store *postgres.Store) error {
	q := url.Values{"by": {asker()}, "table": {v.table}}
	if v.repair {
		q.Set("repair", "true")
	}
	if store != nil { // what has no place there can't be compared
		left, err := store.LeftOut(ctx)
		if err != nil {
			return errors.Join(err, store.Close())
		}
		leaveOut(q, left[v.source])
	}
	leaveOut(q, map[string][]string{v.table: v.without})
	var got verifying
	if err := post(ctx, v.agent, []string{"api/sources", v.source, "verify"}, q, &got); err != nil {
		return err
	}
	if !got.Durable && len(got.Ordered) > 0 {
		_, _ = fmt.Fprintln(notes, v.text.lost) // nobody may be left to read it
	}
	if store == nil {
		if v.format == "json" {
			return printJSON(out, got)
		}
		if _, err := io.WriteString(out, counted(v.text.ordered+"\n", got.ID, len(got.Ordered))); err != nil {
			return err
		}
		if len(got.Refused) > 0 {
			return v.print(out, verified{ID: got.ID, Refused: got.Refused})
		}
		return nil
	}
	found, err := v.await(ctx, store, got)
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	return v.print(out, verified{ID: got.ID, Tables: found, Refused: got.Refused})
}

// withoutOf begins the parameter that names columns of a table which aren't compared.
const withoutOf = "without."

// leaveOut adds columns that aren't compared, by table, to those that an order names already.
func leaveOut(q url.Values, columns map[string][]string) {
	for table, names := range columns {
		for _, name := range names {
			q.Add(withoutOf+table, name)
		}
	}
}

// asker names the person for those who read the record later.
func asker() string {
	name, host := "", ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return strings.Trim(name+"@"+host, "@")
}

// await asks the store until all tables have a result.
func (v *verification) await(ctx context.Context, store *postgres.Store, got verifying) ([]verify.Report, error) {
	look := time.NewTicker(300 * time.Millisecond)
	defer look.Stop()
	for n := 0; ; n++ {
		found, err := store.Verifications(ctx, postgres.Wanted{ID: got.ID, Source: v.source, Rows: v.rows})
		if err != nil {
			return nil, err
		}
		open := slices.Clone(got.Ordered)
		for i := range found {
			if found[i].State.Ended() {
				open = slices.DeleteFunc(open, func(t string) bool { return t == found[i].Table })
			}
		}
		if len(open) > 0 && n%10 == 9 {
			for _, dead := range v.dead(ctx, got.ID, open) {
				if !slices.ContainsFunc(found, func(r verify.Report) bool { return r.Table == dead.Table }) { // which the store will never hear of
					found = append(found, dead)
					open = slices.DeleteFunc(open, func(t string) bool { return t == dead.Table })
				}
			}
		}
		if len(open) == 0 {
			return found, nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// dead asks the agent which of the tables it doesn't compare any more, without having told
// a store. An agent that doesn't answer may go on later.
func (v *verification) dead(ctx context.Context, id string, tables []string) (out []verify.Report) {
	r := ask(ctx, v.agent)
	if r.Error != "" {
		return nil
	}
	for _, t := range tables {
		why := v.text.lost
		for _, p := range r.Loads[v.source] {
			if p.Table == t && p.Verify == id {
				if why = ""; (p.Phase == snapshot.Failed || p.Phase == snapshot.Canceled) && p.Since.IsZero() {
					why = cmp.Or(p.Error, codes.Phase(string(p.Phase), v.lang))
				}
			}
		}
		if why != "" {
			out = append(out, verify.Report{ID: id, Source: v.source, Table: t, State: verify.GivenUp, Error: why, Repair: v.repair, Named: []verify.Difference{}})
		}
	}
	return out
}

// print shows what was found, and ends with an error if that isn't equality.
func (v *verification) print(out io.Writer, r verified) error {
	var err error
	if v.format == "json" {
		err = printJSON(out, r)
	} else {
		err = v.printTable(out, r)
	}
	if err != nil {
		return err
	}
	if len(r.Tables)+len(r.Refused) == 0 {
		return &problem{code: "VERIFY_NOTHING", text: v.text.none}
	}
	incomplete := len(r.Refused) > 0
	for i := range r.Tables {
		switch r.Tables[i].State {
		case verify.Unequal:
			return &problem{code: "VERIFY_DIFFERENT", text: v.text.unequal}
		case verify.Equal, verify.Repaired:
		default:
			incomplete = true
		}
	}
	if incomplete {
		return &problem{code: "VERIFY_INCOMPLETE", text: v.text.incomplete}
	}
	return nil
}

func (v *verification) printTable(out io.Writer, r verified) error {
	t := v.text
	lines := [][]string{{t.table, t.state, t.compared, t.missing, t.surplus, t.different, t.repaired, t.note}}
	var rows []string
	for i := range r.Tables {
		x := &r.Tables[i]
		var notes []string
		if x.Quarantined > 0 {
			notes = append(notes, fmt.Sprintf(t.quarantined, x.Quarantined))
		}
		if x.Owned > 0 {
			notes = append(notes, fmt.Sprintf(t.byOther, x.Owned))
		}
		if x.Error != "" {
			notes = append(notes, x.Error)
		}
		line := []string{x.Table, codes.State(string(x.State), v.lang)}
		for _, n := range []int64{x.Rows, x.Missing, x.Surplus, x.Different, x.Repaired} {
			line = append(line, fmt.Sprint(n))
		}
		lines = append(lines, append(line, strings.Join(notes, "; ")))
		for _, d := range x.Named {
			rows = append(rows, fmt.Sprintf("%s %s %s", x.Table, t.kinds[string(d.Kind)], d.Key))
		}
		if more := x.Differences() - int64(len(x.Named)); more > 0 {
			rows = append(rows, counted(t.more, x.Table, more))
		}
	}
	for _, x := range r.Refused {
		lines = append(lines, []string{x.Table, t.refused, "-", "-", "-", "-", "-", strings.Join(note(v.lang, x.Code, x.Message, x.Hint), "; ")})
	}
	text := columns.Align(lines, func(i int) bool { return i >= 2 && i <= 6 })
	if len(rows) > 0 {
		text += strings.Join(rows, "\n") + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}
