package alarm

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

// unreachableCode is that of a source whose database server doesn't answer its agent.
const unreachableCode = "SOURCE_UNREACHABLE"

// server is a database server as agents of an org know it. Other orgs may have others of the
// same address, and so has each agent's machine on its loopback.
type server struct{ org, address, program string }

func serverOf(x *watch.Source) server {
	s := server{org: x.Org.Code, address: x.Log.Server}
	host, _, err := net.SplitHostPort(s.address)
	if err != nil {
		host = s.address
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost") || strings.HasPrefix(host, "/") {
		s.program = x.Log.Program
	}
	return s
}

// servers tells each database server that can't be reached for several sources, once one of them
// is later than it may be. A single source is told by itself.
func (f *finder) servers() {
	cut, all, late := map[server][]*watch.Source{}, map[server]int{}, map[server]float64{}
	for _, x := range f.sources {
		if x.Log == nil || x.Log.Server == "" || f.dead[x.ID] {
			continue
		}
		s := serverOf(x)
		all[s]++
		if x.Unread.IsZero() || x.Log.NeedsPerson || x.Log.Code != unreachableCode {
			continue
		}
		cut[s] = append(cut[s], x)
		for i := range x.Flows {
			if w := &x.Flows[i]; w.State == watch.Late && !f.away[i][x.ID] {
				late[s] = max(late[s], w.Lag)
			}
		}
	}
	for s, sources := range cut {
		lag, ok := late[s]
		if !ok || len(sources) == 1 {
			continue
		}
		object := strings.TrimSpace(strings.Join([]string{ofServer, s.org, s.address, s.program}, " "))
		f.add(Alarm{Kind: Lag, Object: object, Org: s.org, Path: sources[0].Org.Path, Code: unreachableCode,
			Detail: fmt.Sprintf("%d / %d, %.0f s; %s", len(sources), all[s], lag, sources[0].Log.Error)}, sources)
		for _, x := range sources {
			f.cut[x.ID] = true
		}
	}
}
