package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
	"github.com/tributary-cdc/tributary/cmd/internal/nearest"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// consumerText is every text of `tributary consumer`.
type consumerText struct {
	group, short, long, registry, user, consumers, notes, rights, org, jars, secret string
}

var consumerTexts = map[language]consumerText{
	english: {
		group: "for other readers of the log", short: "print a ready reader of a dataset: a program in Go, SQL for Flink, or a connector of Kafka Connect",
		long: "Prints a reader of a dataset that is ready but for passwords, which it takes from files. FILE is the\n" +
			"file of a registry: its orgs' table versions tell which sources and tables the dataset has. What the\n" +
			"reader needs at Kafka and on its machine is told on stderr.",
		registry: "`URL` of the registry for the reader (default: http of FILE)", user: "`NAME` of the reader at Kafka (default consumer-DATASET)", consumers: "the reader's consumer `GROUP` (default consumer.DATASET)",
		notes: "The reader's user at Kafka needs these rights and no others:", rights: "A topic holds all datasets of its org, and Kafka gives rights to whole topics only.",
		org: "One connector per org follows: the numbers of table versions are an org's own.", jars: "Kafka Connect needs Debezium's JDBC sink and scripting with Groovy, and Confluent's Avro converter.",
		secret: "Put files with the authority's certificate, password and addresses into %s, readable by the reader only.",
	},
	chinese: {
		group: "供日志的其他读取者使用", short: "输出一个可直接使用的数据集读取者：Go 程序、Flink SQL 或 Kafka Connect 连接器",
		long: "输出数据集的读取者，除口令外均已填好；口令取自文件。FILE 是 registry 的配置文件：\n" +
			"其各机构的表结构版本说明数据集有哪些数据源和表。读取者在 Kafka 和本机所需的内容输出到 stderr。",
		registry: "供读取者使用的 registry 地址 `URL`（默认取自 FILE 的 http）", user: "读取者在 Kafka 的用户名 `NAME`（默认 consumer-DATASET）", consumers: "读取者的消费者组 `GROUP`（默认 consumer.DATASET）",
		notes: "读取者的 Kafka 用户需要且只需要以下权限：", rights: "一个主题包含其机构的全部数据集，Kafka 只能对整个主题授权。",
		org: "以下每个机构一个连接器：表结构版本的编号只在机构内有效。", jars: "Kafka Connect 需要 Debezium 的 JDBC sink 和带 Groovy 的 scripting，以及 Confluent 的 Avro 转换器。",
		secret: "请把 CA 证书、口令和地址的文件放入 %s，只允许读取者读取。",
	},
}

// consumerKinds are the readers that can be had.
var consumerKinds = []string{"flink", "kafka-connect", "go"}

// consumerFolder is where examples look for what mustn't stand in them.
const consumerFolder = "/etc/tributary-consumer"

func consumerCommand(usage catalogue, lang language) *cobra.Command {
	say := consumerTexts[lang]
	kinds := strings.Join(consumerKinds, "|")
	c := &cobra.Command{Use: "example " + kinds + " DATASET --config FILE", Short: say.short, Long: say.long, Args: usage.takes(kinds, "DATASET"), ValidArgs: consumerKinds,
		Example: "tributary consumer example go student --config registry.yml > main.go\ntributary consumer example flink student --config registry.yml --user province-flink"}
	file := c.Flags().String("config", "", usage.config)
	base := c.Flags().String("registry", "", say.registry)
	user := c.Flags().String("user", "", say.user)
	group := c.Flags().String("group", "", say.consumers)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := usage.oneOf(c, "READER", args[0], consumerKinds...); err != nil {
			return err
		}
		if *file == "" {
			return wrongUsage(c, "USAGE_FLAG", usage.missingFlag, "--config FILE")
		}
		if *base != "" {
			if err := usage.address(c, "--registry", *base); err != nil {
				return err
			}
		}
		var f config.Registry
		if err := config.Load(*file, &f); err != nil {
			return err
		}
		r := newDatasetReader(args[1], &f, *base, *user, *group)
		if err := r.find(c.Context(), &f); err != nil {
			return err
		}
		text, err := r.example(args[0], lang)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(c.OutOrStdout(), text); err != nil {
			return err
		}
		return say.explain(c.ErrOrStderr(), args[0], r)
	}
	parent := usage.group(&cobra.Command{Use: "consumer", Short: say.group, Example: "tributary consumer example go student --config registry.yml\ntributary consumer example kafka-connect student --config registry.yml"})
	parent.AddCommand(c)
	return parent
}

// explain tells what a reader needs besides its text.
func (say consumerText) explain(out io.Writer, kind string, r *datasetReader) error {
	lines := append([]string{say.notes}, r.ACLs...)
	lines = append(lines, say.rights)
	if kind == "kafka-connect" {
		lines = append(lines, say.org, say.jars)
	}
	if r.PasswordFile != "" || kind == "kafka-connect" {
		lines = append(lines, fmt.Sprintf(say.secret, consumerFolder))
	}
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// datasetTable is a table of a dataset, in its present version.
type datasetTable struct {
	Source, Database, Schema, Table string
	Name                            string // source, a space, and the table's id
	Record                          string // name of its rows' Avro record
	org                             string
	keys                            []string // in Avro's names
}

// datasetTopic is where an org's rows stand, and who knows their schemas.
type datasetTopic struct{ Name, Registry string }

// datasetReader is what the templates know.
type datasetReader struct {
	Dataset, Group, User                      string
	Brokers, ACLs                             []string
	Topics                                    []datasetTopic
	Tables                                    []datasetTable
	Columns                                   []schema.Column // of all tables, by name
	Keys                                      []string        // of the first table; empty in append mode
	CAFile, PasswordFile, Protocol, Mechanism string          // empty: plain text, no login
	base                                      string
}

func newDatasetReader(dataset string, f *config.Registry, base, user, group string) *datasetReader {
	r := &datasetReader{Dataset: dataset, Group: group, User: user, Brokers: f.Log.Brokers, base: strings.TrimSuffix(base, "/")}
	if r.base == "" {
		r.base = "http://" + f.HTTP
	}
	if user == "" {
		r.User = "consumer-" + dataset
	}
	if group == "" {
		r.Group = "consumer." + dataset
	}
	if f.Log.Encrypted() {
		r.CAFile, r.Protocol = consumerFolder+"/kafka-ca.pem", "SSL"
	}
	if f.Log.SASL != nil {
		r.PasswordFile, r.Mechanism, r.Protocol = consumerFolder+"/kafka.password", f.Log.SASL.Mechanism, "SASL_PLAINTEXT"
		if r.CAFile != "" {
			r.Protocol = "SASL_SSL"
		}
	}
	return r
}

// find reads the present tables of the dataset from the orgs' table versions.
func (r *datasetReader) find(ctx context.Context, f *config.Registry) error {
	client, err := newClient(f.Log, "tributary-consumer")
	if err != nil {
		return err
	}
	defer client.Close()
	known, present := map[string]bool{}, map[string]*envelope.SchemaRecord{}
	orgs := map[string]string{}
	for _, org := range f.Orgs {
		_, err := client.ReadFrom(ctx, log.Partition{Topic: kafka.Schemas(org)}, 0, func(_ log.Offset, record *log.Record) error {
			s, err := envelope.ReadSchema(record.Value)
			if err != nil {
				return err
			}
			name := s.Table.Source + " " + s.Table.ID()
			known[s.Table.Dataset] = true
			present[name], orgs[name] = s, org
			return nil
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", kafka.Schemas(org), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(present)) {
		if s := present[name]; s.Table.Dataset == r.Dataset {
			if err := r.add(name, orgs[name], s); err != nil {
				return err
			}
		}
	}
	if len(r.Tables) == 0 {
		near := ""
		if len(known) > 0 {
			near = nearest.Of(r.Dataset, slices.Sorted(maps.Keys(known))...)
		}
		return &problem{code: "DATASET_UNKNOWN", words: fmt.Sprintf("%q; the nearest known one is %q", r.Dataset, near), class: errUsage}
	}
	r.grant()
	return nil
}

func (r *datasetReader) add(name, org string, s *envelope.SchemaRecord) error {
	t := s.Table
	avro, err := avroColumns(s.Avro)
	if err != nil {
		return fmt.Errorf("table %s: %w", t.ID(), err)
	}
	d := datasetTable{Source: t.Source, Database: t.Database, Schema: t.Schema, Table: t.Name, Name: name, Record: envelope.RecordName(t), org: org}
	for _, k := range t.Key {
		d.keys = append(d.keys, avro[k])
	}
	if len(r.Tables) == 0 {
		for _, k := range t.Key {
			r.Keys = append(r.Keys, t.Columns[k].Name)
		}
	}
	for _, c := range t.Columns {
		if !slices.ContainsFunc(r.Columns, func(o schema.Column) bool { return o.Name == c.Name }) {
			r.Columns = append(r.Columns, c)
		}
	}
	r.Tables = append(r.Tables, d)
	topic := datasetTopic{kafka.Changes(org), r.base + "/" + org}
	if !slices.Contains(r.Topics, topic) {
		r.Topics = append(r.Topics, topic)
	}
	return nil
}

// avroColumns gives the names that a table's columns have in Avro.
func avroColumns(text []byte) ([]string, error) {
	var envelope struct {
		Fields []struct{ Type json.RawMessage }
	}
	var union []json.RawMessage
	var row struct{ Fields []struct{ Name string } }
	err := json.Unmarshal(text, &envelope)
	if err == nil && len(envelope.Fields) > 0 {
		err = json.Unmarshal(envelope.Fields[0].Type, &union) // before: null, or a row
	}
	if err == nil && len(union) > 1 {
		err = json.Unmarshal(union[1], &row)
	}
	if err != nil || len(row.Fields) == 0 {
		return nil, fmt.Errorf("its Avro schema has no columns: %w", err)
	}
	names := make([]string, len(row.Fields))
	for i, f := range row.Fields {
		names[i] = f.Name
	}
	return names, nil
}

// grant lists the rights at Kafka, as kafka-acls.sh takes them.
func (r *datasetReader) grant() {
	const add = "kafka-acls.sh --bootstrap-server %s --command-config ADMIN.properties --add --allow-principal %s --operation Read %s"
	who, broker := shellWord("User:"+r.User), shellWord(strings.Join(r.Brokers, ","))
	for _, t := range r.Topics {
		r.ACLs = append(r.ACLs, fmt.Sprintf(add, broker, who, "--topic "+shellWord(t.Name)))
	}
	r.ACLs = append(r.ACLs, fmt.Sprintf(add, broker, who, "--group "+shellWord(r.Group)))
}

// example fills the template of a kind in. Kafka Connect has one connector per org.
func (r *datasetReader) example(kind string, lang language) (string, error) {
	text, err := consumers.ReadFile("consumers/" + kind + ".tmpl")
	if err != nil {
		return "", fmt.Errorf("example of %s: %w", kind, err)
	}
	t, err := template.New(kind).Funcs(inTemplates(lang)).Parse(string(text))
	if err != nil {
		return "", fmt.Errorf("example of %s: %w", kind, err)
	}
	each := []*datasetReader{r}
	if kind == "kafka-connect" {
		each = r.perTopic()
	}
	var b bytes.Buffer
	for _, one := range each {
		if err := t.Execute(&b, one); err != nil {
			return "", fmt.Errorf("example of %s: %w", kind, err)
		}
	}
	return b.String(), nil
}

// perTopic gives a reader for each org.
func (r *datasetReader) perTopic() (each []*datasetReader) {
	for _, topic := range r.Topics {
		one := *r
		one.Topics = []datasetTopic{topic}
		one.Tables = slices.DeleteFunc(slices.Clone(r.Tables), func(t datasetTable) bool { return kafka.Changes(t.org) != topic.Name })
		each = append(each, &one)
	}
	return each
}
