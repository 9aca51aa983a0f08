// Package runpage is the page of a run that trains: its curves, grids, log and settings in a
// browser, as they come. It serves this process' own run alone, loads nothing from
// elsewhere, and stops the run for whoever has the token that was printed.
package runpage

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/engine/record"
)

// Page is a server of one run, and a sink of what the run says.
type Page struct {
	*board
	dir    string // of the run
	token  string
	local  bool   // it listens where only this machine reaches it
	host   string // by which it is asked for beside numbers and localhost
	stop   func()
	listen net.Listener
	server *http.Server
}

// Address is where to listen, of what a user gives: a port, or a host and a port. Without
// a host it is this machine alone.
func Address(text string) (string, error) {
	if !strings.Contains(text, ":") {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return "", fault.Usagef("--serve %s: want a port, as 8080, or a host and a port, as 127.0.0.1:8080 or 0.0.0.0:8080", text)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Listen serves the page of the run in a folder until Close. Stop is called when a user
// asks for it.
func Listen(address, dir string, stop func()) (*Page, error) {
	address, err := Address(address)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.Usagef("--serve %s: %v", address, err)
	}
	secret := make([]byte, 16)
	rand.Read(secret) // never fails
	host, _, _ := net.SplitHostPort(address)
	p := &Page{
		board: newBoard(dir), dir: dir, token: base64.RawURLEncoding.EncodeToString(secret), host: host, stop: stop, listen: listener,
		local: listener.Addr().(*net.TCPAddr).IP.IsLoopback(),
	}
	p.server = &http.Server{Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() { _ = p.server.Serve(listener) }() // until Close
	return p, nil
}

// URL is where a user finds the page; with the token, that who has it may stop the run.
func (p *Page) URL() string {
	at := p.listen.Addr().(*net.TCPAddr)
	host := at.IP.String()
	if at.IP.IsUnspecified() {
		host = "localhost"
	}
	return fmt.Sprintf("http://%s/?token=%s", net.JoinHostPort(host, fmt.Sprint(at.Port)), p.token)
}

// Begin reads what the run said in processes before.
func (p *Page) Begin(images int64) error {
	p.begin(images)
	return nil
}

// Rewind is Begin: later points go.
func (p *Page) Rewind(images int64) error { return p.Begin(images) }

func (p *Page) Status(s record.Status) error {
	p.status(s)
	return nil
}

func (p *Page) Evaluation(e record.Evaluation) error {
	p.evaluation(e)
	return nil
}

func (p *Page) Grid(f record.File) error {
	p.grid(filepath.Base(f.Path))
	return nil
}

func (p *Page) Checkpoint(f record.File) error {
	p.Note("checkpoint " + f.Path)
	return nil
}

// Distributions are too many for a page.
func (p *Page) Distributions(int64, []record.Distribution) error { return nil }

// Close tells those who look that the run has ended, and ends.
func (p *Page) Close() error {
	p.end()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := p.server.Shutdown(ctx); err != nil {
		return p.server.Close()
	}
	return nil
}
