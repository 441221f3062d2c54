package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-cdc/tributary/cmd/columns"
	"github.com/tributary-cdc/tributary/cmd/internal/config"
)

// reportText is every text of `tributary source report`.
type reportText struct{ short, long, day, source, table, dataset, rows, bytes, first, last, total, none, head string }

var reportTexts = map[language]reportText{
	english: {
		short: "say what left the house today, by table and dataset", day: "another `DAY`, as 2026-11-29, of the last 92",
		long: "Reads the count that the agent of the file AGENT keeps in its data_dir: rows that the log has got, and their\n" +
			"bytes before compression, by source, table and dataset. A load counts like any other rows, and so does what\n" +
			"is sent again after a break. The count of a killed agent may lack its last second. The agent may run or not.",
		source: "source", table: "table", dataset: "dataset", rows: "rows", bytes: "bytes", first: "first", last: "last", total: "in all", none: "On %s nothing has left the house.", head: "On %s (%s) the log has got:",
	},
	chinese: {
		short: "列出今天从本单位送出的数据（按表和数据集）", day: "其他日期 `DAY`，如 2026-11-29，限最近 92 天",
		long: "读取配置文件 AGENT 所对应的 agent 在 data_dir 中的计数：日志已收到的行数和压缩前的字节数，\n" +
			"按数据源、表和数据集列出。装载的行同样计入，中断后重发的也计入。agent 被强行终止时，\n" +
			"最后一秒可能未计入。无论 agent 是否在运行均可查看。",
		source: "数据源", table: "表", dataset: "数据集", rows: "行数", bytes: "字节", first: "首次", last: "最近", total: "合计", none: "%s 没有数据送出。", head: "%s（%s）日志已收到：",
	},
}

// sentLine is what of a table has left the house.
type sentLine struct {
	Source string `json:"source"`
	Table  string `json:"table"`
	sentTable
}

// sentDataset is what has left for a dataset.
type sentDataset struct {
	Dataset string `json:"dataset"`
	Rows    int64  `json:"rows"`
	Bytes   int64  `json:"bytes"`
}

// sentReport is what left the house on a day.
type sentReport struct {
	Day      string        `json:"day"`
	Zone     string        `json:"zone"` // of the machine's clock, by which the day begins
	Tables   []sentLine    `json:"tables"`
	Datasets []sentDataset `json:"datasets"`
}

func reportCommand(usage catalogue, lang language, format *string) *cobra.Command {
	say := reportTexts[lang]
	c := &cobra.Command{Use: "report AGENT", Short: say.short, Long: say.long, Args: usage.takes("AGENT"),
		Example: "tributary source report agent.yml\ntributary source report agent.yml --day 2026-11-29 --output json"}
	day := c.Flags().String("day", "", say.day)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := usage.oneOf(c, "--output", *format, outputs...); err != nil {
			return err
		}
		at := time.Now()
		if *day != "" {
			var err error
			if at, err = time.ParseInLocation(dayFormat, *day, time.Local); err != nil {
				return wrongUsage(c, "USAGE_VALUE", usage.wrongValue, "--day", *day, dayFormat, time.Now().Format(dayFormat))
			}
		}
		var agent config.Agent
		if err := config.Load(args[0], &agent); err != nil {
			return err
		}
		sent, err := readDay(agent.DataDir, at.Format(dayFormat))
		if err != nil {
			return &problem{code: "CONFIG_FILE", words: err.Error(), class: errUsage}
		}
		r := reported(sent, at)
		if *format == "json" {
			return printJSON(c.OutOrStdout(), r)
		}
		return say.print(c.OutOrStdout(), r)
	}
	return c
}

func reported(day sentDay, at time.Time) *sentReport {
	zone, _ := at.Zone()
	r := &sentReport{Day: at.Format(dayFormat), Zone: zone, Tables: []sentLine{}, Datasets: []sentDataset{}}
	datasets := map[string]sentDataset{}
	for source, tables := range day {
		for table, t := range tables {
			r.Tables = append(r.Tables, sentLine{source, table, *t})
			d := datasets[t.Dataset]
			datasets[t.Dataset] = sentDataset{t.Dataset, d.Rows + t.Rows, d.Bytes + t.Bytes}
		}
	}
	slices.SortFunc(r.Tables, func(a, b sentLine) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Table, b.Table)) })
	for _, name := range slices.Sorted(maps.Keys(datasets)) {
		r.Datasets = append(r.Datasets, datasets[name])
	}
	return r
}

func (say reportText) print(out io.Writer, r *sentReport) error {
	text := fmt.Sprintf(say.none+"\n", r.Day)
	if len(r.Tables) > 0 {
		clock := func(t time.Time) string { return t.Local().Format("15:04:05") }
		tables, datasets := [][]string{{say.source, say.table, say.dataset, say.rows, say.bytes, say.first, say.last}}, [][]string{{say.dataset, say.rows, say.bytes}}
		var rows, bytes int64
		for _, t := range r.Tables {
			tables = append(tables, []string{t.Source, oneLine(t.Table), oneLine(t.Dataset), fmt.Sprint(t.Rows), fmt.Sprint(t.Bytes), clock(t.First), clock(t.Last)})
			rows, bytes = rows+t.Rows, bytes+t.Bytes
		}
		for _, d := range r.Datasets {
			datasets = append(datasets, []string{oneLine(d.Dataset), fmt.Sprint(d.Rows), fmt.Sprint(d.Bytes)})
		}
		datasets = append(datasets, []string{say.total, fmt.Sprint(rows), fmt.Sprint(bytes)})
		text = fmt.Sprintf(say.head+"\n", r.Day, r.Zone) + columns.Align(tables, nil) + "\n" + columns.Align(datasets, nil)
	}
	_, err := io.WriteString(out, text)
	return err
}
