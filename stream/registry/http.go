package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mediaType is what the registry's clients ask for.
const mediaType = "application/vnd.schemaregistry.v1+json"

// readTimeout bounds the reading of a topic for one request.
const readTimeout = 10 * time.Second

// refusal is an answer that isn't 200: the status in the first three digits of the
// code. Source: Confluent Platform 7.9, "Schema Registry API Reference".
type refusal struct {
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

// Error implements error.
func (r *refusal) Error() string { return r.Message }

func (r *refusal) status() int {
	code := r.Code
	for code > 999 {
		code /= 10
	}
	return code
}

// Codes of the registry's API.
const (
	noSubject   = 40401
	noVersion   = 40402
	noSchema    = 40403
	noConfig    = 40408
	badVersion  = 42202
	storeFailed = 50001
)

func refuse(code int, format string, args ...any) error {
	return &refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// text is an answer that is sent as it stands: a schema.
type text string

// call answers one request of an org.
type call func(ctx context.Context, t *topic, q *http.Request) (any, error)

// Handler serves the read calls, one base path per org, e.g. /330106/schemas/ids/7.
// Whatever would change something is answered with 405.
func (r *Registry) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, f := range map[string]call{
		"/schemas/types":                                r.types,
		"/schemas/ids/{id}":                             r.schema,
		"/schemas/ids/{id}/schema":                      r.schemaText,
		"/schemas/ids/{id}/versions":                    r.schemaVersions,
		"/schemas/ids/{id}/subjects":                    r.schemaSubjects,
		"/subjects":                                     r.listSubjects,
		"/subjects/{subject}/versions":                  r.subjectVersions,
		"/subjects/{subject}/versions/{version}":        r.subjectVersion,
		"/subjects/{subject}/versions/{version}/schema": r.subjectSchema,
		"/config":           r.config,
		"/config/{subject}": r.subjectConfig,
		"/mode":             r.mode,
		"/{$}":              func(context.Context, *topic, *http.Request) (any, error) { return map[string]any{}, nil },
	} {
		mux.HandleFunc("GET /{org}"+path, func(w http.ResponseWriter, q *http.Request) { r.serve(w, q, f) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet && q.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			answer(w, nil, refuse(http.StatusMethodNotAllowed, "this registry is read-only: table versions are published by the agents that read the tables"))
			return
		}
		answer(w, nil, refuse(http.StatusNotFound, "HTTP 404 Not Found: the base path is one per org: %s", r.bases()))
	})
	return mux
}

func (r *Registry) bases() string {
	return "/" + strings.Join(slices.Sorted(maps.Keys(r.orgs)), ", /")
}

func (r *Registry) serve(w http.ResponseWriter, q *http.Request, f call) {
	t := r.orgs[q.PathValue("org")]
	if t == nil {
		answer(w, nil, refuse(http.StatusNotFound, "HTTP 404 Not Found: no org %q here; the base path is one per org: %s", q.PathValue("org"), r.bases()))
		return
	}
	ctx, cancel := context.WithTimeout(q.Context(), readTimeout)
	defer cancel()
	v, err := f(ctx, t, q)
	if _, ours := err.(*refusal); err != nil && !ours {
		r.logger.Warn("registry", "path", q.URL.Path, "err", err)
		err = refuse(storeFailed, "the log can't be read at present")
	}
	answer(w, v, err)
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", mediaType)
	if refused, ok := err.(*refusal); ok {
		w.WriteHeader(refused.status())
		v = refused
	}
	if s, ok := v.(text); ok {
		_, _ = w.Write([]byte(s)) // a client that has gone needs no answer
		return
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // as above
}

func (r *Registry) types(context.Context, *topic, *http.Request) (any, error) {
	return []string{"AVRO"}, nil
}

// byID finds the version of the request's id. The parameter subject, by which
// clients tell contexts apart, changes nothing: ids are local to the org.
func (r *Registry) byID(ctx context.Context, t *topic, q *http.Request) (*version, error) {
	id, err := strconv.ParseUint(q.PathValue("id"), 10, 32)
	if err != nil {
		return nil, refuse(http.StatusNotFound, "HTTP 404 Not Found: %q isn't an id", q.PathValue("id"))
	}
	v, err := r.get(ctx, t, uint32(id))
	if err == nil && v == nil {
		err = refuse(noSchema, "Schema %d not found", id)
	}
	return v, err
}

func (r *Registry) schema(ctx context.Context, t *topic, q *http.Request) (any, error) {
	v, err := r.byID(ctx, t, q)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"schema": v.schema}
	if q.URL.Query().Get("fetchMaxId") == "true" {
		out["maxId"] = t.newest()
	}
	return out, nil
}

func (r *Registry) schemaText(ctx context.Context, t *topic, q *http.Request) (any, error) {
	v, err := r.byID(ctx, t, q)
	if err != nil {
		return nil, err
	}
	return text(v.schema), nil
}

func (r *Registry) schemaVersions(ctx context.Context, t *topic, q *http.Request) (any, error) {
	v, err := r.byID(ctx, t, q)
	if err != nil {
		return nil, err
	}
	return v.places, nil
}

func (r *Registry) schemaSubjects(ctx context.Context, t *topic, q *http.Request) (any, error) {
	v, err := r.byID(ctx, t, q)
	if err != nil {
		return nil, err
	}
	subjects := make([]string, len(v.places))
	for i, p := range v.places {
		subjects[i] = p.Subject
	}
	return subjects, nil
}

func (r *Registry) listSubjects(ctx context.Context, t *topic, q *http.Request) (any, error) {
	names, err := r.names(ctx, t)
	if err != nil {
		return nil, err
	}
	prefix := q.URL.Query().Get("subjectPrefix")
	if prefix == ":*:" { // all contexts; there is one
		prefix = ""
	}
	return slices.DeleteFunc(names, func(s string) bool { return !strings.HasPrefix(s, prefix) }), nil
}

// history gives the versions of the request's subject.
func (r *Registry) history(ctx context.Context, t *topic, q *http.Request) ([]*version, error) {
	all, err := r.versions(ctx, t, q.PathValue("subject"))
	if err == nil && len(all) == 0 {
		err = refuse(noSubject, "Subject '%s' not found.", q.PathValue("subject"))
	}
	return all, err
}

func (r *Registry) subjectVersions(ctx context.Context, t *topic, q *http.Request) (any, error) {
	all, err := r.history(ctx, t, q)
	if err != nil {
		return nil, err
	}
	numbers := make([]int, len(all))
	for i := range numbers {
		numbers[i] = i + 1
	}
	return numbers, nil
}

// pick finds the request's version of its subject: a number from 1, "latest", or
// -1, which means the same.
func (r *Registry) pick(ctx context.Context, t *topic, q *http.Request) (*version, int, error) {
	all, err := r.history(ctx, t, q)
	if err != nil {
		return nil, 0, err
	}
	name := q.PathValue("version")
	n, err := strconv.ParseInt(name, 10, 32)
	switch {
	case name == "latest" || err == nil && n == -1:
		n = int64(len(all))
	case err != nil || n < 1:
		return nil, 0, refuse(badVersion, "The specified version '%s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"", name)
	case n > int64(len(all)):
		return nil, 0, refuse(noVersion, "Version %d not found.", n)
	}
	return all[n-1], int(n), nil
}

func (r *Registry) subjectVersion(ctx context.Context, t *topic, q *http.Request) (any, error) {
	v, n, err := r.pick(ctx, t, q)
	if err != nil {
		return nil, err
	}
	return map[string]any{"subject": q.PathValue("subject"), "version": n, "id": v.id, "schema": v.schema}, nil
}

func (r *Registry) subjectSchema(ctx context.Context, t *topic, q *http.Request) (any, error) {
	v, _, err := r.pick(ctx, t, q)
	if err != nil {
		return nil, err
	}
	return text(v.schema), nil
}

// config: versions come from the sources, and nothing here refuses one.
func (r *Registry) config(context.Context, *topic, *http.Request) (any, error) {
	return map[string]string{"compatibilityLevel": "NONE"}, nil
}

func (r *Registry) subjectConfig(ctx context.Context, t *topic, q *http.Request) (any, error) {
	if q.URL.Query().Get("defaultToGlobal") == "true" {
		return r.config(ctx, t, q)
	}
	return nil, refuse(noConfig, "Subject '%s' does not have subject-level compatibility configured", q.PathValue("subject"))
}

func (r *Registry) mode(context.Context, *topic, *http.Request) (any, error) {
	return map[string]string{"mode": "READONLY"}, nil
}
