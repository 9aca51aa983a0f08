//go:build s3 && unix

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fluxion/data/object/objecttest"
)

// stored is how tests run the program with a store.
type stored struct {
	*objecttest.Server
	t *testing.T
}

// run is the program's output and its exit code.
func (s stored) run(args ...string) (string, int) {
	s.t.Helper()
	p := program(s.t, args...)
	p.Env = append(p.Env, s.Environment()...)
	text, err := p.CombinedOutput()
	if p.ProcessState == nil {
		s.t.Fatal(err)
	}
	return string(text), p.ProcessState.ExitCode()
}

// objects are the files of the bucket below a prefix.
func (s stored) objects(prefix string) map[string]string {
	s.t.Helper()
	return tree(s.t, filepath.Join(s.Folder, prefix))
}

// TestS3: pictures, shards and .npz in a store are those of a disk, byte for byte, made in parts
// of which some are killed, and made on where they were stopped; models and data come from there, too.
func TestS3(t *testing.T) {
	s := stored{objecttest.Start(t), t}
	run, dir := trainedRun(t), t.TempDir()
	t.Setenv("TMPDIR", t.TempDir()) // of which what is killed leaves something
	args := []string{"sample", "--model", run, "--count", "24", "--steps", "3", "--batch", "2", "--threads", "1", "--json"}
	must := func(args ...string) string {
		t.Helper()
		text, code := s.run(args...)
		if code != 0 {
			t.Fatalf("%v: exit %d, %s", args, code, text)
		}
		return text
	}
	for _, c := range []struct {
		name, prefix string
		parts        int
		flags        []string
	}{{"pictures", "", 6, nil}, {"shards", "tar:", 6, []string{"--shard", "4"}}, {"all.tar", "", 1, nil}, {"all.npz", "", 1, []string{"--uint8"}}, {"floats.npz", "", 1, nil}} {
		must(slices.Concat(args, c.flags, []string{"--out", c.prefix + filepath.Join(dir, c.name, c.name)})...)
		to := slices.Concat(args, c.flags, []string{"--out", c.prefix + s.Address(c.name+"/"+c.name)})
		var all sync.WaitGroup
		for i := range c.parts {
			all.Go(func() {
				part := to
				if c.parts > 1 {
					part = with(to, "--part", fmt.Sprintf("%d/%d", i+1, c.parts))
				}
				if i%2 == 0 {
					p := program(t, part...)
					p.Env = append(p.Env, s.Environment()...)
					if err := p.Start(); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(100+60*i) * time.Millisecond)
					p.Process.Signal(syscall.SIGKILL)
					p.Wait()
				}
				if text, code := s.run(part...); code != 0 {
					t.Errorf("%s, part %d: exit %d, %s", c.name, i+1, code, text)
				}
			})
		}
		all.Wait()
		if a, b := tree(t, filepath.Join(dir, c.name)), s.objects(c.name); !same(a, b) || len(a) < 2 {
			t.Errorf("%s: the store has not what the disk has: %v, %v", c.name, slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
		}
		if text := must(to...); !strings.Contains(text, `"written":0`) {
			t.Errorf("%s: what is there is made again: %s", c.name, text)
		}
		if text := must(with(to, "--verify")...); !strings.Contains(text, `"event":"verified"`) {
			t.Errorf("%s: %s", c.name, text)
		}
		if text, code := s.run(with(to, "--steps", "4")...); code != exitFolder || !strings.Contains(text, "steps was 3, now 4") {
			t.Errorf("%s: other settings: exit %d, %s", c.name, code, text)
		}
		if c.name == "floats.npz" {
			continue
		}
		spec := to[len(to)-1]
		digest := func(spec string) string {
			_, rest, _ := strings.Cut(must("data", "info", spec, "--json"), `"digest":`)
			return rest[:20]
		}
		if here, there := digest(c.prefix+filepath.Join(dir, c.name, c.name)), digest(spec); here != there {
			t.Errorf("%s: read as data it is %s, on the disk %s", c.name, there, here)
		}
		must("train", "--preset", "micro", "--size", "8", "--batch", "4", "--images", "8", "--sample-count", "0", "--data", spec, "--out", filepath.Join(dir, "run-"+c.name))
	}
	if err := os.CopyFS(filepath.Join(s.Folder, "models", "run"), os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	args[2] = s.Address("models/run")
	must(with(args, "--out", filepath.Join(dir, "by-model"))...)
	if !same(tree(t, filepath.Join(dir, "pictures", "pictures")), tree(t, filepath.Join(dir, "by-model"))) {
		t.Error("a model of the store makes other pictures")
	}
	must("convert", s.Address("models/run"), filepath.Join(dir, "converted"))
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("pictures of those that were killed, or copies of models, are left: %v, %v", left, err)
	}
}

// TestS3Refuses: what is wrong is said in one line, and nothing is half written.
func TestS3Refuses(t *testing.T) {
	s := stored{objecttest.Start(t), t}
	run := trainedRun(t)
	args := []string{"sample", "--model", run, "--count", "4", "--steps", "1", "--out"}
	none := program(t, with(args, s.Address("none"))...)
	none.Env = append(none.Env, "AWS_ENDPOINT_URL_S3="+s.URL, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SHARED_CREDENTIALS_FILE=/none", "AWS_EC2_METADATA_DISABLED=true")
	if text, err := none.CombinedOutput(); err == nil || none.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(text), "no credentials; want AWS_ACCESS_KEY_ID") || strings.Count(string(text), "\n") != 1 {
		t.Errorf("no credentials: %v, %s", err, text)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(args, "s3://nobucket/x"), exitFailure, "s3://nobucket/x: there is no such bucket"},
		{with(args, "tar:s3://nobucket/x"), exitFailure, "s3://nobucket/x: there is no such bucket"},
		{with(args, "s3://nobucket/x.npz"), exitFailure, "there is no such bucket"},
		{with(args, s.Address("x.npz"), "--uint8", "--part", "1/2"), exitUsage, "the parts of one object would be on other machines"},
		{[]string{"sample", "--model", s.Address("nomodel"), "--count", "1", "--out", filepath.Join(t.TempDir(), "o")}, exitInput, "there is nothing below it"},
		{[]string{"data", "info", s.Address("nodata")}, exitInput, "there is nothing below it"},
		{[]string{"data", "info", s.Address("none.zip")}, exitInput, "there is no such object"},
		{[]string{"data", "info", "tar:s3://nobucket/x"}, exitInput, "there is no such bucket"},
	} {
		text, code := s.run(c.args...)
		if code != c.code || !strings.Contains(text, c.want) || strings.Count(text, "\n") != 1 {
			t.Errorf("%v: exit %d, %s; want %d, %s", c.args, code, text, c.code, c.want)
		}
	}
	s.Busy.Store(-1)
	if text, code := s.run(with(args, s.Address("busy"))...); code != exitFailure || !strings.Contains(text, "the server is too busy, 8 times in a row; the same command goes on later") {
		t.Errorf("a busy server: exit %d, %s", code, text)
	}
	s.Busy.Store(0)
	if left := s.objects(""); len(left) > 0 {
		t.Errorf("what failed left %v", slices.Sorted(maps.Keys(left)))
	}
	s.Busy.Store(5)
	if text, code := s.run(with(args, s.Address("later"))...); code != 0 || len(s.objects("later")) != 4 {
		t.Errorf("a server that was busy for a while: exit %d, %s", code, text)
	}
}
