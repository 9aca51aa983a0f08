package runpage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
)

// serve is the page of a run folder with one grid.
func serve(t *testing.T, address string, stop func()) *Page {
	dir := t.TempDir()
	var grid bytes.Buffer
	if err := png.Encode(&grid, image.NewGray(image.Rect(0, 0, 8, 4))); err != nil {
		t.Fatal(err)
	}
	samples := filepath.Join(dir, rundir.SamplesDir)
	if err := errors.Join(os.Mkdir(samples, 0o777), os.WriteFile(filepath.Join(samples, rundir.GridName(500)), grid.Bytes(), 0o666), os.WriteFile(filepath.Join(dir, "secret.png"), []byte("secret"), 0o666)); err != nil {
		t.Fatal(err)
	}
	p, err := Listen(address, dir, stop)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// ask returns the answer to a request.
func ask(t *testing.T, p *Page, method, path string, change func(*http.Request)) (code int, head http.Header, body string) {
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.listen.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// TestAnswers: who asks by another name, for another file, or without the token where it is
// wanted, gets nothing; every answer forbids what a page has no use for.
func TestAnswers(t *testing.T) {
	stopped := 0
	p := serve(t, "127.0.0.1:0", func() { stopped++ })
	grid := "/samples/" + rundir.GridName(500)
	for _, c := range []struct {
		method, path string
		change       func(*http.Request)
		code         int
	}{
		{"GET", "/", nil, 200},
		{"GET", "/page.js", nil, 200},
		{"GET", "/chart.css", nil, 200},
		{"GET", grid, nil, 200},
		{"GET", "/", host("localhost:8080"), 200},
		{"GET", "/", host("[::1]:8080"), 200},
		{"GET", "/", host("evil.example"), 421},
		{"GET", grid, host("evil.example:80"), 421},
		{"POST", "/stop", func(r *http.Request) { r.Host = "evil.example"; bearer(p.token)(r) }, 421},
		{"GET", "/samples/000000501.png", nil, 404},
		{"GET", "/samples/..%2fsecret.png", nil, 404},
		{"GET", "/samples/../secret.png", nil, 404},
		{"GET", "/secret.png", nil, 404},
		{"GET", "/stop", nil, 405},
		{"POST", "/stop", nil, 403},
		{"POST", "/stop?token=" + p.token, nil, 403},
		{"POST", "/stop", bearer("x"), 403},
		{"POST", "/stop", bearer(""), 403},
	} {
		code, head, body := ask(t, p, c.method, c.path, c.change)
		if code != c.code || strings.Contains(body, "secret") {
			t.Errorf("%s %s: %d, want %d: %q", c.method, c.path, code, c.code, body)
		}
		if csp := head.Get("Content-Security-Policy"); c.code != 421 && !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") {
			t.Errorf("%s %s: the policy is %q", c.method, c.path, csp)
		}
	}
	if stopped != 0 {
		t.Error("stopped without the token")
	}
	if code, _, _ := ask(t, p, "POST", "/stop", bearer(p.token)); code != 202 || stopped != 1 {
		t.Errorf("%d; stopped %d times", code, stopped)
	}
}

// TestElsewhere: where others can reach it, the page shows nothing of the run without the token.
func TestElsewhere(t *testing.T) {
	p := serve(t, "0.0.0.0:0", nil)
	grid := "/samples/" + rundir.GridName(500)
	for path, want := range map[string]int{"/events": 403, grid: 403, grid + "?token=x": 403, grid + "?token=" + p.token: 200} {
		if code, _, _ := ask(t, p, "GET", path, nil); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}

// next reads an event of a stream.
func next(t *testing.T, r *bufio.Reader) (name, data string) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if text, is := strings.CutPrefix(line, "event: "); is {
			name = strings.TrimSpace(text)
		}
		if text, is := strings.CutPrefix(line, "data: "); is {
			return name, strings.TrimSpace(text)
		}
	}
}

// TestEvents: who looks is told all that was, then what comes, then the end.
func TestEvents(t *testing.T) {
	p := serve(t, "127.0.0.1:0", nil)
	if err := os.WriteFile(filepath.Join(p.dir, rundir.StatsFile), []byte(`{"images":100,"loss":2}
{"images":400,"loss":1}
{"images":400,"metrics":{"fd":3}}
{"images":900,"loss":9}
`), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := p.Begin(500); err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get("http://" + p.listen.Addr().String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	stream := bufio.NewReader(answer.Body)
	name, data := next(t, stream)
	var s State
	if err := json.Unmarshal([]byte(data), &s); err != nil || name != "state" {
		t.Fatal(name, err)
	}
	if fmt.Sprint(s.Loss, s.Grids, len(s.Evaluations), s.Now.Images) != "[{100 2} {400 1}] [000000500.png] 1 500" {
		t.Errorf("%+v", s)
	}
	p.Note("a <b>")
	for _, err := range []error{p.Status(record.Status{Images: 600, Of: 1000, Loss: 0.5}), p.Grid(record.File{Path: "x/000000600.png", Images: 600}), p.Evaluation(record.Evaluation{Images: 600}), p.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"note", "now", "loss", "grid", "evaluation", "ended"} {
		if name, data := next(t, stream); name != want {
			t.Errorf("%s %s, want %s", name, data, want)
		}
	}
}

// TestThinned: a curve of any length keeps its beginning and a bounded number of points, and
// a viewer who does not read is let go.
func TestThinned(t *testing.T) {
	b := newBoard(t.TempDir())
	_, news, leave, _ := b.join()
	for i := range 50000 {
		b.status(record.Status{Images: int64(1 + i), Loss: 1})
	}
	if n := len(b.state.Loss); n > maxPoints || n < maxPoints/3 || b.state.Loss[0].Images != 1 || b.state.Loss[n-1].Images < 49000 {
		t.Errorf("%d points from %v to %v", n, b.state.Loss[0], b.state.Loss[n-1])
	}
	count := 0
	for range news {
		count++
	}
	if leave(); count != maxNews || len(b.viewers) != 0 {
		t.Errorf("%d news waited, %d viewers are left", count, len(b.viewers))
	}
	for range maxViewers {
		b.join()
	}
	if _, _, _, ok := b.join(); ok {
		t.Error("there is no end of viewers")
	}
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{"8080": "127.0.0.1:8080", ":8080": "127.0.0.1:8080", "0.0.0.0:80": "0.0.0.0:80", "[::1]:80": "[::1]:80", "": "", "x": "", "a:b:c": "", "1.2.3.4:": "", "99999": ""} {
		got, err := Address(text)
		var usage fault.UsageError
		if got != want || (want == "") != errors.As(err, &usage) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	taken := serve(t, "127.0.0.1:0", nil)
	if _, err := Listen(taken.listen.Addr().String(), t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	}
	if u := taken.URL(); !strings.HasPrefix(u, "http://127.0.0.1:") || !strings.HasSuffix(u, taken.token) || len(taken.token) < 20 {
		t.Error(u)
	}
}
