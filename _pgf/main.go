package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

type discard struct {
	from io.Reader
	buf  []byte
}

func cpu(pid uint32) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	u, _ := strconv.ParseFloat(f[11], 64)
	s, _ := strconv.ParseFloat(f[12], 64)
	return (u + s) / 100
}

func main() {
	ctx := context.Background()
	cfg, err := pgx.ParseConfig(os.Args[1])
	if err != nil {
		panic(err)
	}
	_ = pgproto3.Query{}
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		panic(err)
	}
	// id xjh xm xbm csrq sfzjh xxdm nj bj rxsj xz bl zx bz changed
	kinds := "isstdssistnfbst"
	variants := map[string]string{"mix": "idtfb", "all binary but numeric": "idtfbs", "all text": "", "no ints": "dtfb", "only times": "dt", "ft no date": "tf", "no times": "f", "bool too": "dtfb", "floats+times": "dtf", "ints text, strings binary": "dtfbs"}
	best := map[string]float64{}
	for round := 0; round < 8; round++ {
		for name, bin := range variants {
			var formats []int16
			for _, k := range kinds {
				f := int16(0)
				if strings.ContainsRune(bin, k) {
					f = 1
				}
				formats = append(formats, f)
			}
			a := cpu(c.PgConn().PID())
			n := 0
			for after := 0; after < 400000; after += 10000 {
				rr := c.PgConn().ExecParams(ctx, fmt.Sprintf("SELECT id, xjh, xm, xbm, csrq, sfzjh, xxdm, nj, bj, rxsj, xz, bl, zx, bz, changed FROM full_student WHERE (id) > (%d) ORDER BY id LIMIT 10000", after), nil, nil, nil, formats)
				for rr.NextRow() {
					n++
				}
				if _, err := rr.Close(); err != nil {
					panic(err)
				}
			}
			d := (cpu(c.PgConn().PID()) - a) * 1e6 / float64(n)
			if best[name] == 0 || d < best[name] {
				best[name] = d
			}
		}
	}
	for name, d := range best {
		fmt.Printf("%-30s server %.3f us/row\n", name, d)
	}
}
