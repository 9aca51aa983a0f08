package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/durable"
)

// samplesError refuses a folder whose pictures are not those that are asked for.
type samplesError struct {
	dir       string
	of        int          // pictures that are asked for and there
	foreign   []string     // files that sample did not make
	changes   []difference // between what is there and what is asked for
	different int          // pictures with changes
}

// difference is a setting of pictures that are there.
type difference struct {
	key, was, now string // of the first picture
	count         int
	first         string
}

func (e *samplesError) Error() string {
	var parts []string
	if n := len(e.foreign); n > 0 {
		parts = append(parts, fmt.Sprintf("%s %s not made by sample", console.Abridged(e.foreign, 3), map[bool]string{true: "was", false: "were"}[n == 1]))
	}
	if len(e.changes) > 0 {
		var changes []string
		for _, d := range e.changes {
			changes = append(changes, fmt.Sprintf("%s was %s, now %s (%d, such as %s)", d.key, orNone(d.was), orNone(d.now), d.count, d.first))
		}
		parts = append(parts, fmt.Sprintf("%d of the %d pictures there were made with other settings: %s", e.different, e.of, strings.Join(changes, "; ")))
	}
	return fmt.Sprintf("%s: %s; give another --out, or --overwrite to make them anew", e.dir, strings.Join(parts, "; "))
}

func orNone(text string) string {
	if text == "" {
		return "not given"
	}
	return text
}

// found is what lies in the folder of a job.
type found struct {
	missing  []int64 // to be made: not there, not whole, or to be overwritten
	broken   int     // of these, files that are not whole
	replaced int     // of these, files with other settings or of others
}

// enter makes the folder, as others may who share it. Leaving it with an error
// takes it away if it was not there before and holds nothing.
func (o *sampleOptions) enter() (leave func(error) error, err error) {
	_, err = os.Stat(o.out)
	before := err == nil
	if err := o.disk.MkdirAll(o.out); err != nil {
		return nil, err
	}
	left, err := durable.Share(o.out)
	return func(failed error) error {
		if failed != nil && !before {
			os.Remove(o.out) // which fails where there is something in it
		}
		return left()
	}, err
}

func (o *sampleOptions) file(seed int64) string {
	return filepath.Join(o.out, fmt.Sprintf("%06d.png", seed))
}

// look compares the pictures that are there with those that would be made. A file
// that is not whole, as a power loss leaves it, is as good as none.
func (o *sampleOptions) look(ctx context.Context, j job, seeds []int64) (found, error) {
	entries, err := os.ReadDir(o.out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return found{}, err
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[e.Name()] = true
	}
	var f found
	refused := &samplesError{dir: o.out}
	for _, seed := range seeds {
		path := o.file(seed)
		name := filepath.Base(path)
		if !there[name] {
			f.missing = append(f.missing, seed)
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return f, err
		}
		p, err := data.InspectPNG(path)
		switch {
		case errors.Is(err, data.ErrCut):
			f.broken++
			f.missing = append(f.missing, seed)
			continue
		case err != nil && !errors.Is(err, data.ErrNotPNG):
			return f, err
		}
		refused.of++
		if refused.compare(name, p, j.size, textOf(j.text, j.model, seed, j.classOf(seed))) {
			continue
		}
		f.replaced++
		f.missing = append(f.missing, seed)
	}
	if f.replaced > 0 && !o.overwrite {
		return f, refused
	}
	return f, nil
}

// compare notes what differs between a file and the picture that would be made;
// same is true if nothing does.
func (e *samplesError) compare(name string, p data.PNG, size [3]int, want map[string]string) (same bool) {
	if p.Text["seed"] == "" || p.Text["key"] == "" {
		e.foreign = append(e.foreign, name)
		return false
	}
	note := func(key, was, now string) {
		if was == now {
			return
		}
		same = false
		i := slices.IndexFunc(e.changes, func(d difference) bool { return d.key == key })
		if i < 0 {
			e.changes, i = append(e.changes, difference{key: key, was: was, now: now, first: name}), len(e.changes)
		}
		e.changes[i].count++
	}
	same = true
	note("size", fmt.Sprintf("%d×%d×%d", p.Height, p.Width, p.Channels), fmt.Sprintf("%d×%d×%d", size[0], size[1], size[2]))
	for _, key := range decidingTexts {
		was, now := p.Text[key], want[key]
		switch {
		case key == "digest" && was != now:
			note("model", named(p.Text), named(want))
			continue
		case key == "scheduler" && was != "" && now != "":
			was, now = differing(was, now)
		}
		note(key, was, now)
	}
	if !same {
		e.different++
	}
	return same
}

// differing leaves the words of two schedulers that are in one of them only, behind
// their class; of different classes that says it.
func differing(was, now string) (string, string) {
	a, b := strings.Fields(was), strings.Fields(now)
	if a[0] != b[0] {
		return a[0], b[0]
	}
	only := func(words, others []string) string {
		kept := words[:1:1]
		for _, w := range words[1:] {
			if !slices.Contains(others, w) {
				kept = append(kept, w)
			}
		}
		return strings.Join(kept, " ")
	}
	return only(a, b), only(b, a)
}

// named is a model as a picture names it.
func named(text map[string]string) string {
	if text["digest"] == "" {
		return "not noted"
	}
	return strings.TrimSpace(text["model"]+" "+text["checkpoint"]) + " (digest " + text["digest"][:min(8, len(text["digest"]))] + ")"
}

// maxGrid is the most images of a grid.
const maxGrid = 400

// gridOf names the grid beside a folder; one that has no name, as / and on some
// systems a drive, holds it.
func gridOf(out string) string {
	const ending = "-grid.png"
	out = filepath.Clean(out)
	if name := filepath.Base(out); name == "." || name == ".." {
		if abs, err := filepath.Abs(out); err == nil {
			out = abs
		}
	}
	if filepath.Dir(out) == out {
		return filepath.Join(out, strings.TrimPrefix(ending, "-"))
	}
	return out + ending
}

// grid writes the first images as one picture beside the folder.
func (o *sampleOptions) grid(seeds []int64, size [3]int) (string, error) {
	seeds = seeds[:min(len(seeds), maxGrid)]
	var all []byte
	for _, s := range seeds {
		pixels, height, width, channels, err := data.ReadPNG(o.file(s))
		if err != nil {
			return "", err
		}
		if found := [3]int{height, width, channels}; found != size {
			return "", &data.Error{Path: o.file(s), Problem: fmt.Sprintf("is %v where the model's images are %v: it was changed by another program", found, size)}
		}
		all = append(all, pixels...)
	}
	path := gridOf(o.out)
	file, err := data.EncodeGrid(all, len(seeds), size[0], size[1], size[2], o.columns)
	if err == nil {
		err = o.disk.WriteFile(path, file)
	}
	return path, fault.Output(err)
}
