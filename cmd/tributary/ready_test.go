package main

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
)

func TestReady(t *testing.T) {
	p := log.Partition{Topic: "tributary.330106.changes"}
	away := errors.New("log unavailable")
	for name, tt := range map[string]struct {
		err  error
		want string // of the reason; empty if ready
	}{
		"streaming":           {agentReady([]pipeline.Status{{Source: "a", State: pipeline.Streaming}}), ""},
		"one starts yet":      {agentReady([]pipeline.Status{{Source: "a", State: pipeline.Streaming}, {Source: "b", State: pipeline.Starting}}), "source b is starting"},
		"server away":         {agentReady([]pipeline.Status{{Source: "a", State: pipeline.Retrying, Error: "connection refused"}}), "source a is retrying: connection refused"},
		"a person is needed":  {agentReady([]pipeline.Status{{Source: "a", State: pipeline.Retrying, NeedsPerson: true, Error: "password"}}), ""},
		"in gap":              {agentReady([]pipeline.Status{{Source: "a", State: pipeline.InGap, NeedsPerson: true}}), ""},
		"topics not checked":  {errors.Join(away, agentReady(nil)), "log unavailable"},
		"claimed":             {workerReady(nil, []worker.PartitionStatus{{Partition: p, State: worker.Applying}}), ""},
		"stands by":           {workerReady(nil, nil), ""},
		"no member":           {workerReady(errors.New("not a member"), nil), "not a member"},
		"store away":          {workerReady(nil, []worker.PartitionStatus{{Partition: p, State: worker.Retrying, Error: "store unavailable"}}), p.String() + " is retrying: store unavailable"},
		"a hub":               {hubReady([]status.Reading{{CaughtUp: true}, {Missing: true, Error: "no such topic"}}), ""},
		"a hub's log away":    {hubReady([]status.Reading{{CaughtUp: true}, {Topic: "t", Error: "unavailable"}}), "topic t: unavailable"},
		"a hub that begins":   {hubReady([]status.Reading{{Topic: "t"}}), "isn't read to its end yet"},
		"claimed by another":  {workerReady(nil, []worker.PartitionStatus{{Partition: p, State: worker.Failed, Error: "claim lost"}}), "claim lost"},
		"one is claimed only": {workerReady(nil, []worker.PartitionStatus{{Partition: p, State: worker.Applying}, {Partition: log.Partition{Topic: p.Topic, Index: 1}, State: worker.Starting}}), "/1 is starting"},
	} {
		srv := httptest.NewServer(handler(answers{ready: func() error { return tt.err }}))
		for path, want := range map[string]string{"/-/ready": tt.want, "/-/healthy": ""} {
			res, err := srv.Client().Get(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			if err = errors.Join(err, res.Body.Close()); err != nil {
				t.Fatal(err)
			}
			code := 200
			if want != "" {
				code = 503
			} else {
				want = "ok"
			}
			if res.StatusCode != code || !strings.Contains(string(b), want) {
				t.Errorf("%s: %s answers %d, %q; want %d, %q", name, path, res.StatusCode, b, code, want)
			}
		}
		srv.Close()
	}
}
