package language

import "net/http"

// Cookie keeps the language that a reader has chosen.
const Cookie = "tributary-lang"

// OfRequest picks the language of a page: ?lang= before the reader's cookie, before
// Accept-Language; Chinese if none says.
func OfRequest(r *http.Request) Language {
	if tag := r.URL.Query().Get("lang"); tag != "" {
		return Of(tag)
	}
	if c, err := r.Cookie(Cookie); err == nil {
		return Of(c.Value)
	}
	return Accepted(r.Header.Get("Accept-Language"), Chinese)
}
