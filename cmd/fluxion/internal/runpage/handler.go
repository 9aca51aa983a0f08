package runpage

import (
	"crypto/subtle"
	"embed"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/paper"
	"fluxion/engine/rundir"
)

//go:embed page.html page.js page.css
var files embed.FS

// handler answers on everything that the page asks for.
func (p *Page) handler() http.Handler {
	mux := http.NewServeMux()
	static := func(path, kind string, content []byte) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind+"; charset=utf-8")
			_, _ = w.Write(content) // who asked may have gone
		})
	}
	file := func(name string) []byte {
		content, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded
		}
		return content
	}
	static("/{$}", "text/html", file("page.html"))
	static("/page.js", "text/javascript", file("page.js"))
	static("/page.css", "text/css", file("page.css"))
	static("/chart.js", "text/javascript", paper.ChartScript)
	static("/chart.css", "text/css", paper.ChartStyle)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("GET /events", p.viewers(p.events))
	mux.Handle("GET /samples/{name}", p.viewers(p.sample))
	mux.HandleFunc("POST /stop", p.stopRun)
	return p.guarded(mux)
}

// guarded answers, where everybody on this machine may look, only who asks by its address
// or as localhost, as no page of another site can, and forbids what the page has no use for.
func (p *Page) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if p.local && host != "localhost" && host != p.host && net.ParseIP(strings.Trim(host, "[]")) == nil {
			http.Error(w, "not asked for by this server's address", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// knows says whether somebody has the token.
func (p *Page) knows(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(p.token)) == 1
}

// viewers are all on this machine; from elsewhere, those with the token.
func (p *Page) viewers(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.local && !p.knows(r.URL.Query().Get("token")) {
			http.Error(w, "want the token that train printed", http.StatusForbidden)
			return
		}
		next(w, r)
	})
}

// stopRun ends the run after its step, as a signal does. The token comes in a header, which no
// form and no link can send.
func (p *Page) stopRun(w http.ResponseWriter, r *http.Request) {
	token, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !is || !p.knows(token) {
		http.Error(w, "want the token that train printed", http.StatusForbidden)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	p.Note("stopped from the page")
	p.stop()
}

// gridName are the names of grids.
var gridName = regexp.MustCompile(`^\d{9,19}\.png$`)

func (p *Page) sample(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !gridName.MatchString(name) {
		http.NotFound(w, r)
		return
	}
	f, err := os.Open(filepath.Join(p.dir, rundir.SamplesDir, name))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// heartbeat is the time after which a silent stream says that it is there.
const heartbeat = 15 * time.Second

// events are server-sent: first all that was, then what comes.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	state, news, leave, ok := p.join()
	if !ok {
		http.Error(w, "too many look already", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(name string, v any) bool {
		text, err := json.Marshal(v)
		if err != nil {
			return false
		}
		_ = control.SetWriteDeadline(time.Now().Add(heartbeat)) // who does not read goes, and comes again
		if _, err = w.Write([]byte("event: " + name + "\ndata: " + string(text) + "\n\n")); err == nil {
			err = control.Flush()
		}
		return err == nil
	}
	if !send("state", state) {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case n, open := <-news:
			if !open || !send(n.name, n.value) {
				return
			}
		case <-beat.C:
			if !send("beat", nil) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
