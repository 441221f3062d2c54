package main

import (
	"fmt"
	"strings"
)

// The orgs of the demo by how they come to their rows.
var (
	// real are those whose databases run here.
	real = []string{"330106", "330108"}
	// live is joined by the commands that are printed.
	live = "330105"
)

// orgs is the tree: three cities and twelve districts of Zhejiang, of them a functional
// zone, whose code is ours. Names and codes are GB/T 2260's.
var orgs = []struct{ code, parent, name, kind string }{
	{"330000", "", "浙江省", "province"},
	{"330100", "330000", "杭州市", "city"},
	{live, "330100", "拱墅区", "district"},
	{real[0], "330100", "西湖区", "district"},
	{real[1], "330100", "滨江区", "district"},
	{"330110", "330100", "余杭区", "district"},
	{"330200", "330000", "宁波市", "city"},
	{"330203", "330200", "海曙区", "district"},
	{"330205", "330200", "江北区", "district"},
	{"330206", "330200", "北仑区", "district"},
	{"330212", "330200", "鄞州区", "district"},
	{"330300", "330000", "温州市", "city"},
	{"330302", "330300", "鹿城区", "district"},
	{"330303", "330300", "龙湾区", "district"},
	{"330304", "330300", "瓯海区", "district"},
	{"330300-zone", "330300", "浙南产业集聚区", "zone"},
}

// madeUp stands behind the name of an org that is simulated, wherever a page shows it.
const madeUp = "（模拟 simulated）"

// simulated reports whether an org's states are made up.
func simulated(code, kind string) bool {
	return (kind == "district" || kind == "zone") && code != live && code != real[0] && code != real[1]
}

// districts gives the codes of all orgs that have sources.
func districts() (codes []string) {
	for _, o := range orgs {
		if o.kind == "district" || o.kind == "zone" {
			codes = append(codes, o.code)
		}
	}
	return codes
}

// treeFile is the tree as `tributary org import` takes it.
func treeFile() string {
	var b strings.Builder
	b.WriteString("code,parent,name,kind\n")
	for _, o := range orgs {
		name := o.name
		if simulated(o.code, o.kind) {
			name += madeUp
		}
		fmt.Fprintf(&b, "%s,%s,%s,%s\n", o.code, o.parent, name, o.kind)
	}
	return b.String()
}
