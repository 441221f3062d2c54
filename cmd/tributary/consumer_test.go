package main

import (
	"encoding/json"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/schemas"
)

// odd is a name that would end a string or a comment of each language, if it could.
const odd = "stu`d'e\"nt\n*/ -- \\ ${x} 学生😀"

// published starts a log that holds a dataset of two orgs, and gives a registry's file
// for it.
func published(t *testing.T, dataset string) string {
	t.Helper()
	s, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := kafka.New(kafka.Options{Brokers: []string{s.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, org := range []string{"330106", "330108"} {
		if err := client.CreateTopics(t.Context(), org, kafka.TopicOptions{}); err != nil {
			t.Fatal(err)
		}
		tab := &schema.Table{Source: org + "-xueji", Dataset: dataset, Database: "xueji", Name: dataset, Key: []int{0},
			Columns: []schema.Column{{Name: "xh", Type: schema.Type{Kind: schema.Int64}}, {Name: odd, Type: schema.Type{Kind: schema.Decimal, Precision: 5, Scale: 1}, Nullable: true}}}
		if _, err := schemas.New(client).Publisher(kafka.Schemas(org)).ID(t.Context(), tab); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "registry.yml")
	if err := os.WriteFile(file, []byte("orgs: [\"330106\", \"330108\"]\nhttp: 127.0.0.1:8081\nlog: {brokers: [\""+s.Addr()+"\"], embedded: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConsumerExamples(t *testing.T) {
	file := published(t, odd)
	for _, lang := range []string{"en", "zh-CN"} {
		for kind, wants := range map[string][]string{
			"go":            {`"tributary.330106.changes": "http://127.0.0.1:8081/330106"`, "// Reads the dataset | 读取数据集"},
			"flink":         {"'topic' = 'tributary.330106.changes;tributary.330108.changes'", "AS DECIMAL(5, 1))", "`stu``d'e\"nt\n*/ -- \\ ${x} 学生😀`"},
			"kafka-connect": {`"__source_name,xh"`, "http://127.0.0.1:8081/330108"},
		} {
			code, text, said := call("consumer", "example", kind, odd, "--config", file, "--lang", lang, "--user", "it's", "--group", "g")
			if code != 0 {
				t.Fatalf("%s: exit %d, %s", kind, code, said)
			}
			for _, want := range wants {
				if en, zh, both := strings.Cut(want, " | "); both {
					if want = en; lang == "zh-CN" {
						want = zh
					}
				}
				if !strings.Contains(text, want) {
					t.Errorf("%s in %s lacks %q:\n%s", kind, lang, want, text)
				}
			}
			if !strings.Contains(said, `--allow-principal 'User:it'\''s' --operation Read --group g`) || strings.Contains(said, "Write") {
				t.Errorf("%s: the rights are %s", kind, said)
			}
			switch kind {
			case "go":
				if _, err := format.Source([]byte(text)); err != nil {
					t.Errorf("%s isn't Go: %v\n%s", lang, err, text)
				}
			case "flink":
				if n, left := statements(text); n != 3 || left != "" {
					t.Errorf("flink in %s has %d statements and %q open at its end:\n%s", lang, n, left, text)
				}
			default:
				each := json.NewDecoder(strings.NewReader(text))
				for range 2 {
					var c struct{ Config map[string]string }
					if err := each.Decode(&c); err != nil || len(c.Config) < 15 || !strings.HasPrefix(c.Config["connection.password"], "${file:") {
						t.Errorf("a connector: %v, %v", err, c)
					}
				}
			}
		}
	}
	if code, _, said := call("consumer", "example", "go", "studnet", "--config", file, "--lang", "en"); code != exitUsage || !strings.Contains(said, "DATASET_UNKNOWN") {
		t.Errorf("unknown dataset: exit %d, %s", code, said)
	}
	for _, args := range [][]string{{"consumer", "example", "spark", "x", "--config", file}, {"consumer", "example", "go", "x"}, {"consumer", "example", "go", "x", "--config", file, "--registry", "no"}} {
		if code, _, _ := call(args...); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

// statements counts those of a text in SQL, and gives what is open at its end: a quote or
// brackets.
func statements(sql string) (n int, open string) {
	for i := 0; i < len(sql); i++ {
		c := sql[i]
		quoted := open != "" && open[len(open)-1] != '('
		switch {
		case quoted && c == open[len(open)-1] && i+1 < len(sql) && sql[i+1] == c:
			i++ // twice: itself
		case quoted && c == open[len(open)-1], !quoted && c == ')' && open != "":
			open = open[:len(open)-1]
		case quoted:
		case c == '\'', c == '`', c == '(':
			open += string(c)
		case c == ';':
			n++
		case c == '-' && strings.HasPrefix(sql[i:], "--"):
			i += strings.IndexByte(sql[i:], '\n')
		}
	}
	return n, open
}

// TestConsumerSecurity: what the file says of the brokers becomes blocks that name files.
func TestConsumerSecurity(t *testing.T) {
	tab := &schema.Table{Source: "330106-xueji", Dataset: "student", Database: "xueji", Name: "student", Columns: []schema.Column{{Name: "xh", Type: schema.Type{Kind: schema.Int64}}}, Append: true}
	avro, err := envelope.AvroSchema(tab)
	if err != nil {
		t.Fatal(err)
	}
	for mechanism, in := range map[string]string{"PLAIN": "plain.Auth", "SCRAM-SHA-256": "AsSha256Mechanism", "SCRAM-SHA-512": "AsSha512Mechanism"} {
		var f config.Registry
		if err := config.Decode([]byte("orgs: [\"330106\"]\nlog: {brokers: [\"kafka.example.cn:9093\"], sasl: {mechanism: "+mechanism+", user: registry, password_env: X}}\n"), &f); err != nil {
			t.Fatal(err)
		}
		r := newDatasetReader("student", &f, "", "", "")
		if err := r.add("330106-xueji xueji.student", "330106", &envelope.SchemaRecord{Version: tab.Version(), Table: tab, Avro: avro}); err != nil {
			t.Fatal(err)
		}
		r.grant()
		for kind, wants := range map[string][]string{
			"go":            {in, `"/etc/tributary-consumer/kafka.password"`},
			"flink":         {"'properties.security.protocol' = 'SASL_SSL'", "'properties.sasl.mechanism' = '" + mechanism + "'"},
			"kafka-connect": {`"consumer.override.sasl.jaas.config": "${file:`, `"primary.key.mode": "none"`},
		} {
			text, err := r.example(kind, english)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append(wants, "/etc/tributary-consumer/kafka-ca.pem") {
				if !strings.Contains(text, want) {
					t.Errorf("%s with %s lacks %q:\n%s", kind, mechanism, want, text)
				}
			}
			if kind == "go" {
				if _, err := format.Source([]byte(text)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
