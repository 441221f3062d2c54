package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-cdc/tributary/stream/log"
)

// maker makes values as the records of sources have them.
type maker struct {
	*rand.Rand
	d []byte
}

func newMaker() *maker { return &maker{Rand: rand.New(rand.NewPCG(3, 4))} }

// text appends a text of an Avro record.
func (m *maker) text(s string) {
	m.d = append(binary.AppendVarint(m.d, int64(len(s))), s...)
}

// optional appends a text that may be null.
func (m *maker) optional(s string) {
	m.d = append(m.d, 2)
	m.text(s)
}

// hanzi are n characters, the more frequent ones more often.
func (m *maker) hanzi(n int) string {
	out := make([]rune, n)
	for i := range out {
		out[i] = rune(0x4e00 + m.IntN(1+m.IntN(3000)))
	}
	return string(out)
}

func (m *maker) word(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = "abcdefghijklmnopqrstuvwxyz0123456789 "[m.IntN(37)]
	}
	return string(out)
}

// person appends the columns of a pupil: 15, most of them without anything in common.
func (m *maker) person(id int) {
	m.d = binary.AppendVarint(append(m.d, 2), int64(id))
	m.optional(fmt.Sprintf("G%018d", m.Int64N(1e18)))
	m.optional(m.hanzi(2 + m.IntN(2)))
	m.d = append(m.d, 2, byte(2+2*m.IntN(2)))
	m.d = binary.AppendVarint(append(m.d, 2), m.Int64N(20000))
	m.optional(fmt.Sprintf("3301%014d", m.Int64N(1e14)))
	m.optional(fmt.Sprintf("2133%06d", m.IntN(1000)))
	m.d = append(m.d, 2, byte(2*m.IntN(12)))
	m.optional(fmt.Sprintf("%d班", 1+m.IntN(30)))
	m.d = binary.AppendVarint(append(m.d, 2), 1_700_000_000_000_000+m.Int64N(1e14))
	m.optional(fmt.Sprintf("%d.%02d", m.IntN(100), m.IntN(100)))
	m.d = binary.LittleEndian.AppendUint32(append(m.d, 2), m.Uint32()>>2)
	m.d = append(m.d, 2, 2)
	m.optional(m.word(m.IntN(64)))
	m.d = binary.AppendVarint(append(m.d, 2), 1_790_000_000_000_000+m.Int64N(1e10))
}

// phrases are what officials write into remarks.
var phrases = []string{"家庭经济困难，", "已通过资格审核，", "材料齐全，", "需要补交证明；", "由学校统一办理，", "父母双方在外务工，", "户籍所在地与居住地不一致，", "身体状况良好，",
	"请于开学前完成登记。", "经教育局批准转入本校，", "浙江省杭州市西湖区文三路", "浙江省杭州市余杭区仓前街道", "号小区", "单元", "联系电话", "学籍状态正常，", "审核人：", "备注："}

// remark is a text of about n bytes that other rows share phrases with.
func (m *maker) remark(n int) string {
	var s []byte
	for len(s) < n {
		s = append(s, phrases[m.IntN(len(phrases))]...)
		if m.IntN(3) == 0 {
			s = append(s, m.hanzi(1+m.IntN(3))...)
		}
		if m.IntN(4) == 0 {
			s = fmt.Appendf(s, "%d", m.IntN(1000))
		}
	}
	return string(s)
}

// source appends what all rows of a transaction have in common, and the row's place in it.
func (m *maker) source(table string, txn, order int) {
	m.d = append(m.d, "\x00\x00\x0emariadb\x18330106-xueji\x90\xcc\x83\x89\xc5h\x0axueji\x00"...)
	m.text(table)
	m.d = append(m.d, "\x02\x1abinlog.000001\xf4<\x0c330106\x02aV6b0c6eb5/00000001."...)
	m.d = fmt.Appendf(m.d, "%016x/%08x", 3898+txn, 0)
	m.d = append(m.d, "\x00\x80\xdd\x8a\xc4\xce\xdb\xb0\x06\x9c\xe5\x85\xc5\xce\xdb\xb0\x06\x02\x02\x63\xf0\xdb\x83\x89\xc5h"...)
	m.text(fmt.Sprintf("0-1-%d", 13+txn))
	m.d = binary.AppendVarint(m.d, int64(order))
}

// headers are a record's, at a place of the source.
func (m *maker) headers(txn int) []byte {
	return log.AppendHeaders(nil, log.Header{Key: "source", Value: []byte("330106-xueji")},
		log.Header{Key: "position", Value: fmt.Appendf(nil, "(k\x0cn\xb5\x00\x00\x00\x01%08d\x00\x00\x00\x00", 3898+txn)})
}

// add appends a record of table that f makes the value of.
func (m *maker) add(r *log.Records, table string, id, txn int, f func()) {
	key := binary.BigEndian.AppendUint64([]byte("\x1a"+table+"\x01"), uint64(id))
	_, err := r.AddValue(key, m.headers(txn), func(dst []byte) ([]byte, error) {
		m.d = dst
		f()
		return m.d, nil
	})
	if err != nil {
		panic(err)
	}
}

// batches are about 1 MiB each of records as sources have them.
func batches() map[string][]byte {
	out := map[string][]byte{}
	fill := func(name string, f func(m *maker, r *log.Records, i int)) {
		m, r := newMaker(), new(log.Records)
		for i := 0; r.Size() < 1<<20; i++ {
			f(m, r, i)
		}
		out[name] = r.Data()
	}
	load := func(columns func(m *maker, i int)) func(m *maker, r *log.Records, i int) {
		return func(m *maker, r *log.Records, i int) {
			m.add(r, "xueji.student", i, 0, func() {
				m.d = append(m.d, 0, 0, 0, 0, 2, 0, 2)
				columns(m, i)
				m.source("student", 0, i)
			})
		}
	}
	fill("load", load((*maker).person))
	fill("load of remarks", load(func(m *maker, i int) {
		m.person(i)
		m.optional(m.remark(200 + m.IntN(400)))
		m.optional(m.remark(60))
	}))
	fill("load of notes", load(func(m *maker, i int) { // that have nothing in common
		m.person(i)
		m.optional(m.hanzi(100 + m.IntN(100)))
	}))
	fill("load of notes, then of remarks", func(m *maker, r *log.Records, i int) {
		load(func(m *maker, i int) {
			m.person(i)
			if r.Size() > 1<<19 {
				m.optional(m.remark(300))
			} else {
				m.optional(m.hanzi(20))
			}
		})(m, r, i)
	})
	fill("load of numbers", load(func(m *maker, i int) {
		m.d = binary.AppendVarint(append(m.d, 2), int64(i))
		for range 8 {
			m.optional(fmt.Sprintf("%d.%d", m.IntN(100), m.IntN(10)))
			m.d = binary.AppendVarint(append(m.d, 2), m.Int64N(50))
			m.d = binary.AppendVarint(append(m.d, 2), 1_790_000_000_000_000+m.Int64N(1e13))
		}
	}))
	fill("load of documents", load(func(m *maker, i int) {
		m.d = binary.AppendVarint(append(m.d, 2), int64(i))
		m.optional(fmt.Sprintf(`{"pupil":{"name":%q,"school":"2133%06d","grade":%d},"score":[%d,%d,%d],"address":%q,"guardian":{"name":%q,"relation":"父亲","phone":"13%09d"},"state":"正常"}`,
			m.hanzi(3), m.IntN(1000), m.IntN(12), m.IntN(100), m.IntN(100), m.IntN(100), m.remark(40), m.hanzi(3), m.IntN(1e9)))
	}))
	fill("load of images", load(func(m *maker, i int) {
		image := make([]byte, 3000)
		for k := range image {
			image[k] = byte(m.Uint32())
		}
		m.d = binary.AppendVarint(append(m.d, 2), int64(i))
		m.optional(string(image))
	}))
	fill("load of few columns", load(func(m *maker, i int) {
		m.d = binary.AppendVarint(append(m.d, 2), int64(i))
		m.optional(fmt.Sprintf("%d", m.IntN(100)))
	}))
	tables := []string{"xueji.student", "xueji.grade_record", "teacher.person", "xueji.school"}
	fill("updates", func(m *maker, r *log.Records, i int) { // of single rows, and their commits
		table, id := tables[m.IntN(len(tables))], m.IntN(1e6)
		if i%2 == 1 {
			m.add(r, "commit", 0, i/2, func() {
				m.d = append(m.d, "\x00\x00\x00\x00\x01\x02"...)
				m.source("", i/2, 1)
			})
			return
		}
		m.add(r, table, id, i/2, func() {
			before := *m
			before.Rand = rand.New(rand.NewPCG(uint64(id), 1))
			before.d = append(m.d, 0, 0, 0, 0, 2, 2)
			before.person(id)
			after := *m
			after.Rand = rand.New(rand.NewPCG(uint64(id), 1))
			after.d = append(before.d, 2)
			after.person(id)
			m.d = after.d
			m.d[len(m.d)-1-m.IntN(100)] ^= 1
			m.source(table, i/2, 0)
		})
	})
	fill("inserts of tables in turn", func(m *maker, r *log.Records, i int) {
		m.add(r, tables[i%len(tables)], i, i/10, func() {
			m.d = append(m.d, 0, 0, 0, 0, byte(i%len(tables)), 0, 2)
			m.person(i)
			for range i % len(tables) {
				m.optional(m.word(20))
			}
			m.source(tables[i%len(tables)], i/10, i%10)
		})
	})
	fill("JSON", func(m *maker, r *log.Records, i int) {
		m.add(r, "xueji.student", i, 0, func() {
			m.d = fmt.Appendf(m.d, `{"before":null,"after":{"id":%d,"code":"G%018d","name":%q,"sex":%d,"birthday":%d,"card":"3301%014d","school":"2133%06d","grade":%d,"class":"%d班","created":%d,"photo":%q,"weight":%d.%02d,"note":%q},`,
				i, m.Int64N(1e18), m.hanzi(3), m.IntN(2), m.IntN(20000), m.Int64N(1e14), m.IntN(1000), m.IntN(12), m.IntN(30), 1_700_000_000_000_000+m.Int64N(1e14), base64.StdEncoding.EncodeToString([]byte(m.word(6))), m.IntN(100), m.IntN(100), m.word(m.IntN(64)))
			m.d = fmt.Appendf(m.d, `"op":"c","source":{"connector":"mariadb","name":"330106-xueji","ts_ms":1700000000123,"db":"xueji","schema":"","table":"student","server_id":9,"file":"bin.000002","pos":3,"org":"330106","agent":"a","position":"00000001/00000002.0000000000000003/00000000","schema_version":"e71a2ef74cd1236d49a29658c30f1a62","policy_version":"p1","ts_us":1700000000123456,"captured_us":1700000000200000,"precision":0},"ts_ms":1700000000200,"transaction":{"id":"0-1-2","total_order":%d}}`, i)
		})
	})
	return out
}

func BenchmarkLZ4(b *testing.B) {
	data := batches()
	data["unlike records"] = samples()["rows"]
	for _, name := range slices.Sorted(maps.Keys(data)) {
		b.Run(name, func(b *testing.B) {
			e := new(lz4Encoder)
			var out []byte
			b.SetBytes(int64(len(data[name])))
			for b.Loop() {
				out = e.appendFrame(out[:0], data[name])
			}
			b.ReportMetric(float64(len(data[name]))/float64(len(out)), "ratio")
		})
	}
}
