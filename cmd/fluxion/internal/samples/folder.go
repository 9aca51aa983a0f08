// Package samples is a folder of sampled pictures: which are there, and whether they
// are those that are asked for.
package samples

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/object"

	"golang.org/x/sync/errgroup"
)

// Error refuses a folder whose pictures are not those that are asked for.
type Error struct {
	dir       string
	of        int          // pictures that are asked for and there
	among     int          // of which these were looked at; 0: all
	foreign   []string     // files that sample did not make
	changes   []difference // between what is there and what is asked for
	different int          // pictures with changes
	file      bool         // dir is the one in which they lie
}

// difference is a setting of pictures that are there.
type difference struct {
	key, was, now string // of the first picture
	count         int
	first         string
}

func (e *Error) Error() string {
	var parts []string
	if n := len(e.foreign); n > 0 {
		parts = append(parts, fmt.Sprintf("%s %s not made by sample", console.Abridged(e.foreign, 3), map[bool]string{true: "was", false: "were"}[n == 1]))
	}
	if len(e.changes) > 0 {
		var changes []string
		for _, d := range e.changes {
			change := fmt.Sprintf("%s was %s, now %s", d.key, orNone(d.was), orNone(d.now))
			if !e.file {
				change += fmt.Sprintf(" (%d, such as %s)", d.count, d.first)
			}
			changes = append(changes, change)
		}
		what := fmt.Sprintf("%d of the %d pictures there were", e.different, e.of)
		if e.among > 0 {
			what = fmt.Sprintf("%d of %d that were looked at of the %d pictures there were", e.different, e.among, e.of)
		}
		if e.file {
			what = "it was"
		}
		parts = append(parts, fmt.Sprintf("%s made with other settings: %s", what, strings.Join(changes, "; ")))
	}
	them := map[bool]string{true: "it", false: "them"}[e.file]
	return fmt.Sprintf("%s: %s; give another --out, or --overwrite to make %s anew", e.dir, strings.Join(parts, "; "), them)
}

// mostTold is how much of a setting a message has, in bytes: seeds are a list of all.
const mostTold = 80

func orNone(text string) string {
	switch {
	case text == "":
		return "not given"
	case len(text) > mostTold:
		return strings.ToValidUTF8(text[:mostTold], "") + "…"
	}
	return text
}

// Folder is where pictures go, each in a file by its number, or by a name.
type Folder struct {
	Path      string
	Disk      durable.Disk
	Overwrite bool // pictures that are not those that are asked for
	// Name is that of a picture in the folder, with slashes and without an ending; nil: its number.
	Name func(seed int64) string
}

// Wanted is the pictures that a folder is to hold.
type Wanted struct {
	Seeds    []int64
	Size     [3]int                             // height, width, channels
	SizeOf   func(seed int64) [3]int            // of each, where they have several; nil: Size
	Text     func(seed int64) map[string]string // that each holds
	Deciding []string                           // keys of it that decide the picture, in the order in which differences are told
	// Beside is what a picture is shown beside in a grid; nil: nothing.
	Beside func(seed int64) (data.Strip, error)
}

// shape is that of all pictures together, of one size.
func (w Wanted) shape() [4]int { return [4]int{len(w.Seeds), w.Size[0], w.Size[1], w.Size[2]} }

// size is that of a picture.
func (w Wanted) size(seed int64) [3]int {
	if w.SizeOf != nil {
		return w.SizeOf(seed)
	}
	return w.Size
}

// Found is what lies in a folder.
type Found struct {
	Missing  []int64 // to be made: not there, not whole, or to be overwritten
	Broken   int     // of these, files that are not whole
	Replaced int     // of these, files with other settings or of others
}

// Enter makes the folder, as others may who share it. Leaving it with an error
// takes it away if it was not there before and holds nothing.
func (f Folder) Enter() (leave func(error) error, err error) {
	if object.Is(f.Path) {
		return func(error) error { return nil }, nil
	}
	_, err = os.Stat(f.Path)
	before := err == nil
	if err := f.Disk.MkdirAll(f.Path); err != nil {
		return nil, err
	}
	left, err := durable.Share(f.Path)
	return func(failed error) error {
		if failed != nil && !before {
			os.Remove(f.Path) // which fails where there is something in it
		}
		return left()
	}, err
}

// File is that of a picture.
func (f Folder) File(seed int64) string {
	if f.Name != nil {
		return Below(f.Path, filepath.FromSlash(f.Name(seed))+".png")
	}
	return Below(f.Path, fmt.Sprintf("%06d.png", seed))
}

// names lists a folder, once.
func (f Folder) names(ctx context.Context, known map[string]map[string]bool, dir string) (names map[string]bool, err error) {
	if known[dir] == nil {
		known[dir], err = namesIn(ctx, dir)
	}
	return known[dir], err
}

// Put writes a picture, and makes the folder that its name wants.
func (f Folder) Put(ctx context.Context, seed int64, file []byte) error {
	path := f.File(seed)
	if f.Name != nil {
		if err := makeDir(f.Disk, above(path)); err != nil {
			return err
		}
	}
	return put(ctx, f.Disk, path, file)
}

// Settle makes what Put wrote outlive a power loss.
func (f Folder) Settle(seeds []int64) error {
	if object.Is(f.Path) {
		return nil
	}
	done := map[string]bool{}
	for _, seed := range seeds {
		if dir := filepath.Dir(f.File(seed)); !done[dir] {
			if err := f.Disk.Settle(dir); err != nil {
				return err
			}
			done[dir] = true
		}
	}
	return nil
}

// Read reads the file of a picture.
func (f Folder) Read(ctx context.Context, seed int64) ([]byte, error) {
	return readFile(ctx, f.File(seed))
}

// requests is how many objects are looked at at a time: stores answer slowly, but many at once.
const requests = 32

// inspected is a picture that is there.
type inspected struct {
	data.PNG
	err error
}

// inspect looks at the pictures that are there.
func (f Folder) inspect(ctx context.Context, seeds []int64) ([]inspected, error) {
	all, names := make([]inspected, len(seeds)), map[string]map[string]bool{} // by folder
	group, ctx := errgroup.WithContext(ctx)
	if group.SetLimit(1); object.Is(f.Path) {
		group.SetLimit(requests)
	}
	for i, seed := range seeds {
		path := f.File(seed)
		in, err := f.names(ctx, names, above(path))
		if err != nil {
			return nil, errors.Join(err, group.Wait())
		}
		if !in[filepath.Base(path)] {
			all[i].err = fs.ErrNotExist
			continue
		}
		group.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			all[i].PNG, all[i].err = data.InspectPNG(path)
			return nil
		})
	}
	return all, group.Wait()
}

// Look compares the pictures that are there with those that would be made. A file
// that is not whole, as a power loss leaves it, is as good as none.
func (f Folder) Look(ctx context.Context, want Wanted) (there Found, err error) {
	all, err := f.inspect(ctx, want.Seeds)
	if err != nil {
		return there, err
	}
	refused := &Error{dir: f.Path}
	for i, seed := range want.Seeds {
		switch p := all[i]; {
		case p.err == fs.ErrNotExist: // by its name
		case errors.Is(p.err, data.ErrCut):
			there.Broken++
		case p.err != nil && !errors.Is(p.err, data.ErrNotPNG):
			return there, p.err
		default:
			refused.of++
			if refused.compare(filepath.Base(f.File(seed)), p.PNG, want, seed) {
				continue
			}
			there.Replaced++
		}
		there.Missing = append(there.Missing, seed)
	}
	if there.Replaced > 0 && !f.Overwrite {
		return there, refused
	}
	return there, nil
}

// Glances is how many pictures, or files of many, that others have made are looked at before one's
// own are.
const Glances = 64

// Glance refuses a folder in which others have made pictures with other settings: of those that
// are there it looks at some, evenly spread.
func (f Folder) Glance(ctx context.Context, want Wanted) error {
	if f.Overwrite {
		return nil
	}
	names := map[string]map[string]bool{}
	var there []int64
	for _, seed := range want.Seeds {
		path := f.File(seed)
		in, err := f.names(ctx, names, above(path))
		if err != nil {
			return err
		}
		if in[filepath.Base(path)] {
			there = append(there, seed)
		}
	}
	refused := &Error{dir: f.Path, of: len(there)}
	if n := len(there); n > Glances {
		refused.among = Glances
		for i := range Glances {
			there[i] = there[i*n/Glances]
		}
		there = there[:Glances]
	}
	all, err := f.inspect(ctx, there)
	if err != nil {
		return err
	}
	for i, p := range all {
		if p.err == nil { // else who makes it deals with it
			refused.compare(filepath.Base(f.File(there[i])), p.PNG, want, there[i])
		}
	}
	if refused.different+len(refused.foreign) > 0 {
		return refused
	}
	return nil
}

// Absent is how many pictures are not there, by their names.
func (f Folder) Absent(ctx context.Context, seeds []int64) (n int, err error) {
	names := map[string]map[string]bool{}
	for _, seed := range seeds {
		path := f.File(seed)
		in, err := f.names(ctx, names, above(path))
		if err != nil {
			return 0, err
		}
		if !in[filepath.Base(path)] {
			n++
		}
	}
	return n, nil
}

// compare notes what differs between a file and the picture that would be made;
// same is true if nothing does.
func (e *Error) compare(name string, p data.PNG, wanted Wanted, seed int64) (same bool) {
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
	size, want := wanted.size(seed), wanted.Text(seed)
	note("size", fmt.Sprintf("%d×%d×%d", p.Height, p.Width, p.Channels), fmt.Sprintf("%d×%d×%d", size[0], size[1], size[2]))
	for _, key := range wanted.Deciding {
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

// Changes are the settings in which what is there differs from what is wanted.
type Changes []string

// Add adds a setting if it changed.
func (c *Changes) Add(key string, was, now any) {
	if a, b := fmt.Sprint(was), fmt.Sprint(now); a != b {
		*c = append(*c, fmt.Sprintf("%s was %s, now %s", key, a, b))
	}
}

// MadeError refuses a folder of pairs or latents that were made otherwise.
type MadeError struct {
	Dir, What string
	Changes   Changes
	Out       string // how a command is told another folder; "": by --out
}

func (e *MadeError) Error() string {
	return fmt.Sprintf("%s holds %s that were made otherwise: %s; give another %s", e.Dir, e.What, strings.Join(e.Changes, "; "), cmp.Or(e.Out, "--out"))
}
