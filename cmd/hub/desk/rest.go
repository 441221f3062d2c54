package desk

import (
	"context"
	"net/http"
	"strings"

	"github.com/tributary-cdc/tributary/cmd/hub/account"
	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
)

// eventsPath is where an open page of states is kept up to date.
const eventsPath = "/events"

// rest lets those who may see something of the tree to what isn't the desk's, with just
// that, and everybody to the files that pages load. What isn't there at all is a page that says
// so, in the reader's language, or an error of the API.
func (d *Desk) rest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/assets/") {
			next.ServeHTTP(w, r)
			return
		}
		c, err := d.open(w, r)
		if err == nil {
			err = c.allow(acting, account.See)
		}
		ctx := r.Context()
		if err == nil {
			ctx, err = c.seen(ctx)
		}
		there := has(next, r)
		switch {
		case err == nil && there && r.URL.Path == eventsPath: // asked for again, and judged anew, by the page
			ctx, cancel := context.WithTimeout(ctx, d.o.Events)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(c.under(ctx)))
		case err == nil && there:
			next.ServeHTTP(w, r.WithContext(c.under(ctx)))
		case byProgram(r) && err == nil:
			d.fail(c, refusal.New(refusal.Unknown, "CALL_UNKNOWN", "%s %.80s", r.Method, r.URL.Path))
		case byProgram(r):
			d.fail(c, err)
		case kindOf(err) == refusal.Login:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		case r.URL.Path == "/":
			http.Redirect(w, r, "/me", http.StatusSeeOther)
		case err == nil || kindOf(err) == refusal.Denied:
			v := c.view("missing")
			v.Data = r.URL.Path
			d.show(c, http.StatusNotFound, v)
		default:
			status, t := d.told(c, err)
			v := c.view("me")
			v.Error = &t
			d.show(c, status, v)
		}
	})
}

// has reports whether a handler has something for a request, as far as it can be asked.
func has(h http.Handler, r *http.Request) bool {
	mux, ok := h.(*http.ServeMux)
	if !ok {
		return true
	}
	_, pattern := mux.Handler(r)
	return pattern != ""
}

// byProgram reports whether no person waits for a page.
func byProgram(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.Path == eventsPath || strings.HasPrefix(r.URL.Path, "/api/")
}
