package alarm

import (
	"fmt"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

// retention tells sources of whose log something will be lost before it is read. Their servers
// go on while an agent is stopped or silent, also over a holiday on which nobody is called for
// the silence: so this is told beside it. Many sources of one agent are one cause. Where the
// states can't be read nobody knows whether their sources are.
func (f *finder) retention() {
	type agent struct{ org, program string }
	short := map[agent][]*watch.Source{}
	for _, x := range f.sources {
		if _, dark := f.unread[x.Org.Code]; !dark && x.Left >= 0 && x.Left < f.rules.Retention.Seconds() {
			k := agent{x.Org.Code, x.Log.Program}
			short[k] = append(short[k], x)
		}
	}
	for k, sources := range short {
		a := Alarm{Kind: Retention, Org: k.org, Path: sources[0].Org.Path, Code: "SOURCE_LOG_SHORT"}
		if len(sources) < fewSources {
			for _, x := range sources {
				a.Object, a.Detail = ofSource+" "+x.ID, left(x)
				f.add(a, nil)
			}
			continue
		}
		first := sources[0]
		for _, x := range sources {
			if x.Left < first.Left {
				first = x
			}
		}
		a.Object, a.Detail = ofAgent+" "+k.org+" "+k.program, first.ID+": "+left(first)
		f.add(a, sources)
	}
}

// left says how long a source's log is still kept, and by which bound.
func left(x *watch.Source) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f h, %s", x.Left/3600, x.Log.LogLeftBy), ", ")
}
