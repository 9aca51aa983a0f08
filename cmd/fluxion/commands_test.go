package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/data"
	"fluxion/engine/train"

	"github.com/spf13/cobra"
)

// TestCommands: every command says what README.md says that each says.
func TestCommands(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			if c.Example == "" || !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("the example is %q", c.Example)
			}
			if strings.Count(c.Long, exitCodes) != 1 {
				t.Errorf("the help tells the exit codes %d times", strings.Count(c.Long, exitCodes))
			}
			prints := c.RunE != nil && !c.HasSubCommands() && !strings.Contains(c.CommandPath(), "completion")
			if prints && c.Flags().Lookup("json") == nil {
				t.Error("it has no --json")
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	root := newRoot()
	if len(root.Commands()) < 9 {
		t.Fatalf("%d commands", len(root.Commands()))
	}
	walk(root)
}

// TestNext: the command that a run ends with can be given to a shell as it is.
func TestNext(t *testing.T) {
	var out bytes.Buffer
	observer{Face: console.NewFace(&out, false)}.done(train.Result{Run: "runs/the pictures", Images: 40})
	_, next, _ := strings.Cut(out.String(), "next        ")
	if want := console.ProgramName() + " sample --model 'runs/the pictures' --out 'out/the pictures-40' --count 64\n"; next != want {
		t.Errorf("next is %q, want %q", next, want)
	}
	if got := console.ShellWords("a", "", "it's", "$x", "名 前"); got != `a '' 'it'\''s' '$x' '名 前'` {
		t.Errorf("the words are %s", got)
	}
}

// TestPictureFits: a single picture is brought to a model's size and channels as those of a set
// are.
func TestPictureFits(t *testing.T) {
	dir := pictureFolder(t, t.TempDir(), 20, 3, 1, 4, "")
	for _, size := range [][3]int{{8, 8, 1}, {8, 8, 3}, {4, 8, 3}, {8, 2, 1}} {
		alone, err := data.ReadPicture(filepath.Join(dir, "p0.png"), size[0], size[1], size[2])
		if err != nil {
			t.Fatal(err)
		}
		set, err := openImages("--init", dir, size, data.Options{CacheBytes: 1, Size: data.Size{Height: size[0], Width: size[1]}})
		if err != nil {
			t.Fatal(err)
		}
		defer set.set.Close()
		if e, err := set.read(0); err != nil || !bytes.Equal(e.Bytes, alone) {
			t.Errorf("%v: a picture alone and in a set differ, %v", size, err)
		}
	}
}

// TestApart: a run folder in the place of either of two sets is refused, and the inputs of two
// sets are implied.
func TestApart(t *testing.T) {
	dir := t.TempDir()
	a, b := pictureFolder(t, filepath.Join(dir, "a"), 8, 3, 1, 0, ""), pictureFolder(t, filepath.Join(dir, "b"), 8, 3, 1, 1, "")
	for _, spec := range []string{a, "paired:" + a + "," + b, "unpaired:" + b + "," + a} {
		if err := outdir.Apart(a, spec); err == nil || !strings.Contains(err.Error(), "folder of the data") {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for spec, want := range map[string]string{"paired:" + a + "," + b: "paired:" + a + "," + b, "unpaired:" + a + "," + b: a, a: ""} {
		var o pictureFlags
		if o.imply([]string{spec}); o.input != want {
			t.Errorf("%s implies inputs %q, want %q", spec, o.input, want)
		}
	}
}

// ofTests are the modules that tests alone are linked with.
var ofTests = []string{"github.com/rogpeppe/go-internal", "golang.org/x/tools"}

// TestLicenses: the terms of every module that the program is linked with are there.
func TestLicenses(t *testing.T) {
	text, err := licenses()
	if err != nil {
		t.Fatal(err)
	}
	if written, err := os.ReadFile("licenses.txt"); err != nil || string(written) != text {
		t.Errorf("licenses.txt.gz does not hold licenses.txt (%v); run scripts/licenses.sh", err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) == 0 {
		t.Fatal("the binary does not say what it is made of")
	}
	for _, m := range info.Deps {
		if slices.Contains(ofTests, m.Path) {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		if !strings.Contains(text, "==== "+m.Path+" "+m.Version+": ") {
			t.Errorf("no terms of %s %s; run scripts/licenses.sh", m.Path, m.Version)
		}
	}
	for _, want := range []string{"Apache License", "Creative Commons Attribution", "The Go Authors"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing of %q", want)
		}
	}
}

// TestCompletion: shells are told the names that a setting takes, once for a process.
func TestCompletion(t *testing.T) {
	root := newRoot()
	completions(root)
	var out strings.Builder
	root.SetOut(&out)
	root.SetArgs([]string{"__complete", "train", "--optimizer", ""})
	if err := root.ExecuteContext(t.Context()); err != nil || !strings.HasPrefix(out.String(), "adamw\n") || !strings.Contains(out.String(), "\nsgd\n") {
		t.Errorf("%v: %q", err, out.String())
	}
}
