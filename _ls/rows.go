package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// transaction is the rows of one transaction of a backlog.
const transaction = 1000

// columns needs the types of xbm and of date with time.
const columns = `xjh char(19) NOT NULL, xm varchar(64) NOT NULL, xbm %[1]s NOT NULL, csrq date NOT NULL, sfzjh char(18) NOT NULL, xxdm char(10) NOT NULL, nj smallint NOT NULL,
	bj varchar(32) NOT NULL, rxsj %[2]s NOT NULL, xz decimal(5,2) NOT NULL, bl float NOT NULL, zx bool NOT NULL, bz varchar(255), changed %[2]s(6) NOT NULL`

// studentTable gives the statement that makes a table of the 15 columns.
func studentTable(name, small, datetime string) string {
	return "CREATE TABLE " + name + " (id bigint PRIMARY KEY, " + fmt.Sprintf(columns, small, datetime) + ")"
}

// values writes rows first … first+n-1 as SQL, as varied as real ones.
func values(rng *rand.Rand, first, n int) string {
	const family, given = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅鹏辉镕喆"
	f, g := []rune(family), []rune(given)
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		birth := time.Date(2008, 9, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rng.IntN(3000))
		note := make([]byte, 20+rng.IntN(60))
		for j := range note {
			note[j] = "abcdefghijklmnopqrstuvwxyz 0123456789"[rng.IntN(37)]
		}
		fmt.Fprintf(&b, "(%d,'G%018d','%c%c%c',%d,'%s','3301%014d','2133%06d',%d,'%d班','%s',%d.%02d,%.3f,%t,'%s','2026-11-24 08:00:00.%06d')",
			first+i, rng.Int64N(1e17), f[rng.IntN(len(f))], g[rng.IntN(len(g))], g[rng.IntN(len(g))], 1+rng.IntN(2), birth.Format("2006-01-02"), rng.Int64N(1e14),
			rng.IntN(1000), 1+rng.IntN(9), 1+rng.IntN(20), birth.AddDate(6, 0, 0).Format("2006-01-02 15:04:05"), rng.IntN(100), rng.IntN(100), rng.Float64(), rng.IntN(9) > 0, note, rng.IntN(1e6))
	}
	return b.String()
}

// fill writes rows 1 … n in transactions of 1,000. They are the same ones in each
// table, server and repetition.
func fill(ctx context.Context, db *sql.DB, table string, n int) error {
	rng := rand.New(rand.NewPCG(7, 7))
	for first := 1; first <= n; first += transaction {
		if _, err := db.ExecContext(ctx, "INSERT INTO "+table+" VALUES "+values(rng, first, transaction)); err != nil {
			return fmt.Errorf("write rows into %s: %w", table, err)
		}
	}
	return nil
}

// change updates each of rows 1 … n once, in transactions of 1,000.
func change(ctx context.Context, db *sql.DB, table string, n int) error {
	for first := 1; first <= n; first += transaction {
		if _, err := db.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET nj = 77, bz = CONCAT(LEFT(bz, 20), id) WHERE id BETWEEN %d AND %d", table, first, first+transaction-1)); err != nil {
			return fmt.Errorf("change rows of %s: %w", table, err)
		}
	}
	return nil
}

// compression tells how alike blocks of a megabyte are: their size by that of zstd
// at its fastest.
func compression(blocks [][]byte) (float64, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return 0, err
	}
	var plain, small int
	var out []byte
	for _, b := range blocks {
		out = w.EncodeAll(b, out[:0])
		plain, small = plain+len(b), small+len(out)
	}
	return float64(plain) / float64(max(small, 1)), w.Close()
}

// sampleValues gives up to n megabytes of a topic's record values, from an offset on.
func sampleValues(ctx context.Context, c *kafka.Client, topic string, from log.Offset, n int) (blocks [][]byte, err error) {
	f := c.Fetcher(log.Partition{Topic: topic}, 1<<20)
	var block []byte
	for len(blocks) < n {
		batches, err := f.Fetch(ctx, from, 0)
		if err != nil {
			return nil, err
		}
		if len(batches) == 0 { // the end
			return append(blocks, block), nil
		}
		for i := range batches {
			if err := batches[i].Each(func(_ log.Offset, r *log.Record) error {
				if block = append(block, r.Value...); len(block) >= 1<<20 {
					blocks, block = append(blocks, block), nil
				}
				return nil
			}); err != nil {
				return nil, err
			}
			from = batches[i].Last + 1
		}
	}
	return blocks, nil
}
