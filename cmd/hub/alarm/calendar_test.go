package alarm

import (
	"fmt"
	"strings"
	"testing"
)

// TestCalendar: files as people have them, and what is wrong in others by its line.
func TestCalendar(t *testing.T) {
	for name, tt := range map[string]struct {
		file string
		yml  bool
		want string
	}{
		"csv":              {"from,until,name,org,kinds\n2026-02-16,2026-02-22,春节,330106,lag silence\n2026-05-01,,劳动节,,\n", false, "2026-02-16 2026-02-22 春节 330106 [lag silence];2026-05-01 2026-05-01 劳动节 33 [lag silence];"},
		"as Excel does":    {"\ufeff名称,开始,结束\r\n暑假,2026/7/1,2026/8/31\r\n", false, "2026-07-01 2026-08-31 暑假 33 [lag silence];"},
		"yaml":             {"- {from: 2026-10-01, until: 2026-10-08, name: 国庆节, kinds: lag;silence;lag}\n", true, "2026-10-01 2026-10-08 国庆节 33 [lag silence];"},
		"backwards":        {"from,until,name\n2026-02-16,2026-02-15,x\n", false, `2: "2026-02-16 … 2026-02-15"`},
		"too long":         {"from,until,name\n2026-02-16,2026-08-15,x\n", false, `2: "2026-02-16 …`},
		"no day":           {"from,until,name\n\n2026-02-30,,x\n", false, `3: "2026-02-30"`},
		"no such kind":     {"from,name,kinds\n2026-02-20,x,lagg\n", false, `2: "lagg"`},
		"never a gap":      {"from,name,kinds\n2026-02-20,x,lag gap\n", false, `2: "gap"`},
		"a column more":    {"from,name,color\n2026-02-20,x,red\n", false, `2: "color"`},
		"a column twice":   {"from,开始,name\n2026-02-20,2026-02-20,x\n", false, `2: "开始"`},
		"short":            {"from,until,name\n2026-02-20\n", false, "2:"},
		"GBK":              {"from,name\n2026-02-20,\xb4\xba\xbd\xda\n", false, "UTF-8"},
		"empty":            {"", false, "from,until,name,org,kinds"},
		"yaml of texts":    {"- a\n", true, `""`},
		"nested":           {"- {from: [1]}\n", true, "1:"},
		"no list":          {"from: 1\n", true, "cannot unmarshal"},
		"yaml without any": {"[]\n", true, "from,until"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := ParseCalendar([]byte(tt.file), tt.yml, "33")
			got := ""
			for _, h := range all {
				got += fmt.Sprintf("%s %s %s %s %v;", h.From, h.Until, h.Name, h.Org, h.Kinds)
			}
			if err != nil {
				got = err.Error()
			}
			if (err == nil) != strings.HasSuffix(tt.want, ";") || !strings.Contains(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
