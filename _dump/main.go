package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

func main() {
	c, err := kafka.New(kafka.Options{Brokers: []string{os.Args[1]}})
	if err != nil {
		panic(err)
	}
	f := c.Fetcher(log.Partition{Topic: kafka.Changes(os.Args[2])}, 1<<20)
	out, _ := os.Create(os.Args[3])
	total, n, recs := 0, 0, 0
	for from := log.Offset(0); total < 16<<20; {
		bs, err := f.Fetch(context.Background(), from, 0)
		if err != nil || len(bs) == 0 {
			fmt.Println(err, len(bs))
			break
		}
		for i := range bs {
			from = bs[i].Last + 1
			if bs[i].Count < 100 {
				continue
			}
			// each block: 4 byte length
			l := len(bs[i].Data)
			out.Write([]byte{byte(l), byte(l >> 8), byte(l >> 16), byte(l >> 24)})
			out.Write(bs[i].Data)
			total += l
			n++
			recs += bs[i].Count
		}
	}
	out.Close()
	fmt.Println("bytes", total, "batches", n, "records", recs, "bytes/record", float64(total)/float64(recs), "records/batch", recs/n)
}
