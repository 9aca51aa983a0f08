// Package objecttest starts a real server of S3 for tests: versitygw, of a folder.
package objecttest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Program is the server that is looked for, in PATH and where go install puts it.
const Program = "versitygw"

// Server is a running server, behind what makes it fail on request.
type Server struct {
	URL    string
	Bucket string       // its one bucket
	Folder string       // where the objects of that bucket lie, as files
	Busy   atomic.Int64 // so many requests from now on are told to slow down; < 0: all
	Cut    atomic.Int64 // so many answers end in the middle
	Asked  atomic.Int64 // requests so far
}

const (
	user   = "tester"
	secret = "testersecret"
)

// Environment is what a program needs to use the server.
func (s *Server) Environment() []string {
	return []string{"AWS_ENDPOINT_URL_S3=" + s.URL, "AWS_ACCESS_KEY_ID=" + user, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true"}
}

// Address of an object.
func (s *Server) Address(key string) string { return "s3://" + s.Bucket + "/" + key }

// Start starts a server, which ends with the test. Where there is none the test is skipped.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := exec.LookPath(Program)
	if err != nil {
		program = installed()
	}
	if program == "" {
		t.Skipf("no server of S3: %s is not here; go install github.com/versity/versitygw/cmd/versitygw@v1.8.0", Program)
	}
	root, side := t.TempDir(), t.TempDir()
	s := &Server{Bucket: "bucket", Folder: filepath.Join(root, "bucket")}
	if err := os.Mkdir(s.Folder, 0o777); err != nil {
		t.Fatal(err)
	}
	port := free(t)
	var said bytes.Buffer
	c := exec.Command(program, "--access", user, "--secret", secret, "--port", port, "--quiet", "posix", "--sidecar", side, root)
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() { ended <- fmt.Sprint(c.Wait()) }()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
	})
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", port); err == nil {
			_ = conn.Close()
			break
		}
		select {
		case how := <-ended:
			ended <- how
			t.Fatalf("%s ended: %s: %s", program, how, said.String())
		default:
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%s does not listen: %s", program, said.String())
		}
	}
	before := httptest.NewServer(s.failing(port))
	t.Cleanup(before.Close)
	s.URL = before.URL
	return s
}

// installed is the program where go install puts it.
func installed() string {
	where, err := exec.Command("go", "env", "GOBIN", "GOPATH").Output()
	if err != nil {
		return ""
	}
	lines := strings.Split(string(where), "\n")
	for _, path := range []string{filepath.Join(lines[0], Program), filepath.Join(lines[1], "bin", Program)} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && filepath.IsAbs(path) {
			return path
		}
	}
	return ""
}

// free is an address where nobody listens.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// failing hands requests on, but for those that are to fail.
func (s *Server) failing(to string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: to})
			r.Out.Host = r.In.Host // which is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodGet && r.ContentLength > 1 && take(&s.Cut) {
				r.Body = http.NoBody
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Asked.Add(1)
		if take(&s.Busy) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

// take takes one of so many; of fewer than none there are always some.
func take(n *atomic.Int64) bool {
	for {
		left := n.Load()
		if left <= 0 {
			return left < 0
		}
		if n.CompareAndSwap(left, left-1) {
			return true
		}
	}
}
