package catalog

import (
	"reflect"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const good = "code,parent,name,kind\n330000,,浙江省,province\n330100,330000,杭州市,city\n330106,330100,西湖区,district\n,330100,\"钱塘\"\"新\"\"区\",zone\n3133000001,\"钱塘\"\"新\"\"区\",<script>小学😀,school\n"

func plan(t *testing.T, known []Org, text string, yml bool) ([]Org, []Problem) {
	t.Helper()
	entries, problems := ParseFile([]byte(text), yml)
	if len(problems) > 0 {
		return nil, problems
	}
	return Plan(known, entries)
}

func TestPlan(t *testing.T) {
	orgs, problems := plan(t, nil, "\ufeff"+good, false)
	if len(problems) > 0 || len(orgs) != 5 {
		t.Fatalf("%v, %v", orgs, problems)
	}
	zone := orgs[2]
	if orgs[0].Path != "330000/" || orgs[1].Path != "330000/330100/" || zone.Code != "330100-z"+zone.Code[8:] || zone.Name != `钱塘"新"区` || orgs[4].Path != "330000/330100/330106/" && orgs[3].Parent != zone.Code {
		t.Errorf("%+v", orgs)
	}
	if orgs[1].Depth() != 1 || !Within(orgs[3].Path, orgs[1].Path) || Within(orgs[1].Path, orgs[3].Path) {
		t.Error("depth or containment is wrong")
	}
	again, problems := plan(t, orgs, good, false)
	if len(problems) > 0 || !reflect.DeepEqual(again, orgs) {
		t.Errorf("the same file gives another tree: %v, %v", again, problems)
	}
	yml := "- {code: \"330000\", name: 浙江省, kind: 省}\n- {code: \"330100\", parent: \"330000\", name: 杭州市, kind: 市}\n"
	if orgs, problems := plan(t, nil, yml, true); len(problems) > 0 || len(orgs) != 2 || orgs[1].Kind != City {
		t.Errorf("%v, %v", orgs, problems)
	}
	later, problems := plan(t, orgs, "代码,上级,名称,类型\n330106,330000,西湖区,区县\n", false)
	if len(problems) > 0 || len(later) != 5 {
		t.Errorf("%v, %v", later, problems)
	}
	for _, o := range later {
		if o.Code == "330106" && o.Path != "330000/330106/" {
			t.Errorf("a moved org has the path %s", o.Path)
		}
	}
}

func TestBadFiles(t *testing.T) {
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(good[:strings.Index(good, "3133")])
	if err != nil {
		t.Fatal(err)
	}
	const head = "code,parent,name,kind\n1,,省,province\n"
	for name, tt := range map[string]struct {
		text string
		yml  bool
		want []Problem
	}{
		"GBK":              {gbk, false, []Problem{{Fault: FaultGBK}}},
		"UTF-16":           {"\xff\xfec\x00o\x00", false, []Problem{{Fault: FaultEncoding}}},
		"empty":            {"", false, []Problem{{Fault: FaultEmpty}}},
		"header only":      {"code,parent,name,kind\n", false, []Problem{{Fault: FaultEmpty}}},
		"no header":        {"330000,,浙江省,province\n", false, []Problem{{Line: 1, Fault: FaultColumns, Value: "330000"}}},
		"a column less":    {"code,name,kind\n", false, []Problem{{Line: 1, Fault: FaultColumns, Value: "parent"}}},
		"short row":        {head + "2,1,市\n", false, []Problem{{Line: 3, Fault: FaultColumns, Value: "3"}}},
		"open quote":       {head + "2,1,\"市,city\n", false, []Problem{{Line: 3, Fault: FaultSyntax, Value: `extraneous or missing " in quoted-field`}}},
		"duplicate":        {head + "2,1,市,city\n2,1,又,city\n", false, []Problem{{Line: 4, Fault: FaultTwice, Value: "2", Other: 3}}},
		"duplicate zone":   {head + ",1,区,zone\n,1,区,zone\n", false, []Problem{{Line: 4, Fault: FaultTwice, Value: zoneCode("1", "区"), Other: 3}}},
		"unknown parent":   {head + "2,9,市,city\n", false, []Problem{{Line: 3, Fault: FaultParent, Value: "9"}}},
		"ambiguous parent": {head + "2,1,市,city\n,1,区,zone\n,2,区,zone\n4,区,校,school\n", false, []Problem{{Line: 6, Fault: FaultAmbiguous, Value: "区"}}},
		"cycle":            {head + "2,3,甲,city\n3,2,乙,district\n", false, []Problem{{Line: 3, Fault: FaultRank, Value: "city < district"}, {Line: 3, Fault: FaultCycle, Value: "3"}, {Line: 4, Fault: FaultCycle, Value: "2"}}},
		"own parent":       {head + "2,2,甲,city\n", false, []Problem{{Line: 3, Fault: FaultRank, Value: "city < city"}, {Line: 3, Fault: FaultCycle, Value: "2"}}},
		"second root":      {head + "2,,市,city\n", false, []Problem{{Line: 3, Fault: FaultRoot, Value: "1"}}},
		"upside down":      {head + "4,1,校,school\n5,4,市,city\n", false, []Problem{{Line: 4, Fault: FaultRank, Value: "city < school"}}},
		"bad code":         {head + "2/3,1,市,city\n", false, []Problem{{Line: 3, Fault: FaultCode, Value: "2/3"}}},
		"bad kind":         {head + "2,1,市,town\n", false, []Problem{{Line: 3, Fault: FaultKind, Value: "town"}}},
		"no name":          {head + "2,1, ,city\n", false, []Problem{{Line: 3, Fault: FaultName}}},
		"turned text":      {head + "2,1,a\u202eb,city\n", false, []Problem{{Line: 3, Fault: FaultName, Value: "a\u202eb"}}},
		"no code":          {head + ",1,市,city\n", false, []Problem{{Line: 3, Fault: FaultNoCode, Value: "市"}}},
		"rootless zone":    {head + ",,区,zone\n", false, []Problem{{Line: 3, Fault: FaultNoCode, Value: "区"}}},
		"YAML key":         {"- {code: 1, nmae: x}\n", true, []Problem{{Line: 1, Fault: FaultColumns, Value: "nmae"}}},
		"YAML mapping":     {"code: 1\n", true, []Problem{{Line: 1, Fault: FaultColumns, Value: "- {code, parent, name, kind}"}}},
		"YAML scalar":      {"- x\n", true, []Problem{{Line: 1, Fault: FaultColumns, Value: "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			orgs, got := plan(t, nil, tt.text, tt.yml)
			if orgs != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v, %+v; want %+v", orgs, got, tt.want)
			}
		})
	}
	if _, got := plan(t, nil, "- [\n", true); len(got) != 1 || got[0].Fault != FaultSyntax {
		t.Errorf("broken YAML: %+v", got)
	}
}

func TestRival(t *testing.T) {
	first := Feed{Dataset: "student", Source: "330106-xueji", Standing: Authoritative, Scope: "33/3301/330106/"}
	for name, tt := range map[string]struct {
		wanted Feed
		rival  bool
	}{
		"same org":         {Feed{Dataset: "student", Source: "330106-other", Standing: Authoritative, Scope: "33/3301/330106/"}, true},
		"a school of it":   {Feed{Dataset: "student", Source: "x", Standing: Authoritative, Scope: "33/3301/330106/1/"}, true},
		"the city above":   {Feed{Dataset: "student", Source: "x", Standing: Authoritative, Scope: "33/3301/"}, true},
		"the neighbour":    {Feed{Dataset: "student", Source: "x", Standing: Authoritative, Scope: "33/3301/330108/"}, false},
		"a longer code":    {Feed{Dataset: "student", Source: "x", Standing: Authoritative, Scope: "33/3301/3301061/"}, false},
		"to compare":       {Feed{Dataset: "student", Source: "x", Standing: Check, Scope: "33/3301/330106/"}, false},
		"the source again": {Feed{Dataset: "student", Source: "330106-xueji", Standing: Authoritative, Scope: "33/3301/330106/"}, false},
		"another dataset":  {Feed{Dataset: "teacher", Source: "x", Standing: Authoritative, Scope: "33/3301/330106/"}, false},
	} {
		if got := Rival([]Feed{first}, tt.wanted); (got != nil) != tt.rival {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	for s, want := range map[string]bool{"西湖区": true, "O'Neil \"x\" <script> 😀": true, "": false, " x": false, "a\nb": false, strings.Repeat("长", 121): false, "\xff": false} {
		if IsName(s) != want {
			t.Errorf("IsName(%q) isn't %v", s, want)
		}
	}
	for s, want := range map[string]bool{"xueji.student": true, "xueji.学生'\"": true, "student": false, "x.": false, "a.b\x00": false} {
		if IsTable(s) != want {
			t.Errorf("IsTable(%q) isn't %v", s, want)
		}
	}
	for s, want := range map[string]bool{"student": true, "学生": true, "a/b": false, `a"b`: false, strings.Repeat("x", 64): false} {
		if IsDataset(s) != want {
			t.Errorf("IsDataset(%q) isn't %v", s, want)
		}
	}
	if id, ok := SourceID("330106", "xueji"); id != "330106-xueji" || !ok {
		t.Error(id)
	}
	if _, ok := SourceID("330106", "xue/ji"); ok {
		t.Error("a slash in a source's name")
	}
}
