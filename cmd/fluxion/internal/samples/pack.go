package samples

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/object"
)

// Label is what a model is told of an image.
type Label struct {
	Class   int64     // −1: none
	Numbers []float32 // instead of a class
}

// Pack is one file of many pictures. Until all of them are there, they lie in a folder beside
// it, so that what was killed goes on, and several processes may fill it.
type Pack struct {
	Path   string
	Format Format
	Whole  Wanted                 // all of its pictures
	Own    []int64                // those that this process makes
	Text   map[string]string      // of all of it
	Label  func(seed int64) Label // nil: models are told nothing
	Work   Folder

	there  bool         // the file is
	has    string       // of a file with some of the pictures: which
	broken bool         // the file is there and cut
	left   atomic.Int64 // own pictures that are missing
	enter  sync.Once
	leave  func(error) error
	err    error // of entering
}

// WorkEnding is how the name of the folder ends in which the pictures of a file lie until all
// are there.
const WorkEnding = ".parts"

// NewPack is a file of these pictures; text is what they have in common. Those of an object
// lie in a folder below temporary until all are there.
func NewPack(path, temporary string, format Format, disk durable.Disk, overwrite bool, whole Wanted, own []int64, text map[string]string, label func(int64) Label) *Pack {
	p := &Pack{Path: path, Format: format, Whole: whole, Own: own, Text: map[string]string{"seed": Ranges(whole.Seeds)}, Label: label}
	for key, value := range text {
		p.Text[key] = value
	}
	if !format.noted() {
		p.Text["values"] = "uint8"
	}
	p.Work = Folder{Path: path + WorkEnding, Disk: disk, Overwrite: overwrite}
	if object.Is(path) {
		p.Work.Path = filepath.Join(temporary, object.Base(path)+WorkEnding)
	}
	return p
}

// Ranges is a list of numbers as it is asked for: 0-99,200.
func Ranges(seeds []int64) string {
	var parts []string
	for len(seeds) > 0 {
		n := 1
		for n < len(seeds) && seeds[n] == seeds[n-1]+1 {
			n++
		}
		part := fmt.Sprint(seeds[0])
		if n > 1 {
			part = fmt.Sprintf("%d-%d", seeds[0], seeds[n-1])
		}
		parts, seeds = append(parts, part), seeds[n:]
	}
	return strings.Join(parts, ",")
}

// Look finds out what is missing of what this process makes. A file of other settings is an
// *Error, unless it is to be overwritten; one of fewer pictures, which are all among those that are
// asked for, grows.
func (p *Pack) Look(ctx context.Context) (found Found, err error) {
	replaced := false
	if p.there, replaced, err = p.look(ctx); err != nil || p.there {
		return found, err
	}
	want := p.Whole
	want.Seeds = p.Own
	if found, err = p.Work.Look(ctx, want); err != nil {
		return found, err
	}
	if replaced {
		found.Replaced = len(p.Own)
	}
	if p.broken {
		found.Broken++
	}
	p.left.Store(int64(len(found.Missing)))
	return found, nil
}

// Glance refuses a file of other settings, which others have made, or begun.
func (p *Pack) Glance(ctx context.Context) error {
	there, _, err := p.look(ctx)
	if err != nil || there {
		return err
	}
	return p.Work.Glance(ctx, p.Whole)
}

// look says whether the file is there as it would be made.
func (p *Pack) look(ctx context.Context) (there, other bool, err error) {
	if is, err := IsFile(ctx, p.Path); err != nil || !is {
		return false, false, err
	}
	stored, err := p.Format.text(p.Path)
	if (err != nil || stored == "") && p.Format.cut(p) {
		p.broken = true
		return false, false, nil
	}
	if _, npz := p.Format.(NPZ); npz && err != nil && !p.Work.Overwrite {
		return false, false, notWhole(p.Path, err)
	}
	text := map[string]string{}
	if err != nil || json.Unmarshal([]byte(stored), &text) != nil {
		text = nil // of another program, or not whole
	}
	want := p.Whole
	want.Text, want.SizeOf = func(int64) map[string]string { return p.Text }, nil
	refused := &Error{dir: p.Path, of: 1, file: true}
	picture := data.PNG{Height: want.Size[0], Width: want.Size[1], Channels: want.Size[2], Text: text}
	if refused.compare(filepath.Base(p.Path), picture, want, 0) {
		there = object.Is(p.Path) || p.Format.whole(p)
		p.broken = !there // and made again
		return there, false, nil
	}
	if refused.grown(text["seed"], want.Seeds) != nil {
		p.has = text["seed"]
		return false, false, nil
	}
	if p.Work.Overwrite {
		return false, true, nil
	}
	return false, false, refused
}

// grown are the pictures of a file with those that Ranges has written as has, if nothing else differs and
// all are among those that it is to have; else none.
func (e *Error) grown(has string, want []int64) []int64 {
	if len(e.foreign) > 0 || len(e.changes) != 1 || e.changes[0].key != "seed" {
		return nil
	}
	seeds := among(has, want)
	slices.Sort(seeds) // as they lie in the file, however they were asked for
	return slices.Compact(seeds)
}

// among are the numbers of a list such as 0-3,7, if all are wanted; else none.
func among(has string, want []int64) (seeds []int64) {
	for part := range strings.SplitSeq(has, ",") {
		first, last, several := strings.Cut(part, "-")
		if !several {
			last = first
		}
		a, err1 := strconv.ParseInt(first, 10, 64)
		b, err2 := strconv.ParseInt(last, 10, 64)
		i, found := slices.BinarySearch(want, a)
		if err1 != nil || err2 != nil || b < a || !found || int64(len(want)-i) <= b-a || want[i+int(b-a)] != b {
			return nil
		}
		seeds = append(seeds, want[i:i+int(b-a)+1]...)
	}
	return seeds
}

// Take puts pictures that a file which grows has already among those that are to be in it, and says
// which of the missing ones these are. What is not whole, or was changed, is left to be made again.
func (p *Pack) Take(ctx context.Context, missing []int64) (taken []int64, err error) {
	if p.has == "" {
		return nil, nil
	}
	of := &Pack{Path: p.Path, Format: p.Format, Whole: p.Whole, Label: p.Label, Work: p.Work}
	of.Whole.Seeds = among(p.has, p.Whole.Seeds)
	var failed error
	err = of.Each(func(seed int64, picture []byte, _ string) error {
		if failed = context.Cause(ctx); failed != nil {
			return failed
		}
		if _, wanted := slices.BinarySearch(missing, seed); !wanted {
			return nil
		}
		name := fmt.Sprintf("%s!%06d.png", p.Path, seed)
		pixels, height, width, channels, err := data.DecodePNG(name, bytes.NewReader(picture))
		if err == nil {
			err = p.Check(name, seed, picture)
		}
		if size := [3]int{height, width, channels}; err == nil && size != p.Whole.size(seed) {
			err = otherSize(name, size, p.Whole.size(seed))
		}
		if err == nil && !p.Format.noted() {
			picture, err = data.EncodePNG(pixels, height, width, channels, p.Whole.Text(seed))
		}
		if err != nil {
			return nil
		}
		if _, failed = p.put(ctx, seed, picture); failed == nil {
			taken = append(taken, seed)
		}
		return failed
	})
	if failed == nil {
		err = nil // of a file that is not whole the rest is made again
	}
	return taken, err
}

// There says whether the file was there when it was looked for, or was written.
func (p *Pack) There() bool { return p.there }

// Lacks says of a file that is not there as it would be made what it is.
func (p *Pack) Lacks() string {
	if p.has != "" {
		return fmt.Sprintf("has the images of seeds %s, of %s that are asked for", p.has, p.Text["seed"])
	}
	return "is not there"
}

// Put writes a picture, and the file when it was the last that was missing of it.
func (p *Pack) Put(ctx context.Context, seed int64, picture []byte) error {
	if left, err := p.put(ctx, seed, picture); err != nil || left > 0 {
		return err
	}
	return p.Finish(ctx)
}

// put writes a picture into the folder, and says how many are missing then.
func (p *Pack) put(ctx context.Context, seed int64, picture []byte) (left int64, err error) {
	p.enter.Do(func() { p.leave, p.err = p.Work.EnterWork() })
	if p.err != nil {
		return 0, p.err
	}
	if err := p.Work.Put(ctx, seed, picture); err != nil {
		return 0, err
	}
	return p.left.Add(-1), nil
}

// EnterWork makes the folder, as others may who fill it; one of them may take it away meanwhile.
func (f Folder) EnterWork() (leave func(error) error, err error) {
	for {
		if leave, err = f.Enter(); err != nil {
			return nil, err
		}
		if _, err := os.Stat(f.Path); err == nil {
			return leave, nil
		}
		if err := leave(nil); err != nil {
			return nil, err
		}
	}
}

// RemoveWork takes the folder away, unless others are in it.
func (f Folder) RemoveWork() error {
	leave, err := durable.Alone(f.Path)
	if errors.Is(err, durable.ErrBusy) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(f.Path), leave())
}

// Finish writes the file if all pictures of it are there. Another process may do the same at the
// same time, and writes the same bytes.
func (p *Pack) Finish(ctx context.Context) error {
	if p.there || p.left.Load() > 0 {
		return nil
	}
	left, err := p.Work.Absent(ctx, p.Whole.Seeds)
	if err != nil || left > 0 {
		return err
	}
	err = p.write(ctx)
	if there, _, looked := p.look(ctx); looked == nil && there {
		p.there, err = true, nil
	}
	return err
}

// Left is how many pictures the file lacks, be they those of others: 0 if it is there.
func (p *Pack) Left(ctx context.Context) (int, error) {
	if p.there {
		return 0, nil
	}
	there, _, err := p.look(ctx)
	if p.there = there; err != nil || there {
		return 0, err
	}
	left, err := p.Work.Absent(ctx, p.Whole.Seeds)
	return max(left, 1), err
}

// write writes the file, unless pictures of others are not whole.
func (p *Pack) write(ctx context.Context) error {
	found, err := p.Work.Look(ctx, p.Whole)
	if err != nil || len(found.Missing) > 0 {
		return err
	}
	text, err := json.Marshal(p.Text)
	if err != nil {
		return err
	}
	disk, packed := p.Work.Disk, "packed"
	file := filepath.Join(p.Work.Path, packed)
	if err := disk.Write(file, func(w io.Writer) error { return p.Format.write(w, p, string(text)) }); err != nil {
		return err
	}
	if object.Is(p.Path) {
		return upload(ctx, file, p.Path)
	}
	return disk.Move(filepath.Dir(p.Path), [][2]string{{filepath.Join(filepath.Base(p.Work.Path), packed), filepath.Base(p.Path)}})
}

// Leave ends what Put began. Who leaves last takes away the folder of pictures whose file is there,
// as does who finds what was killed behind the file's end.
func (p *Pack) Leave(failed error) error {
	if p.leave != nil {
		if err := p.leave(failed); err != nil {
			return err
		}
	}
	if !p.there {
		return nil
	}
	return p.Work.RemoveWork()
}

// Check holds the text of a picture in the file against what is asked for.
func (p *Pack) Check(name string, seed int64, picture []byte) error {
	if !p.Format.noted() {
		return nil
	}
	of, err := data.InspectPNGOf(name, bytes.NewReader(picture))
	if err != nil {
		return err
	}
	refused := &Error{dir: p.Path, of: 1}
	if !refused.compare(filepath.Base(name), of, p.Whole, seed) {
		return refused
	}
	return nil
}

// Each calls visit with the pictures of the file in order, as files of PNG, and with the label
// that is noted of them.
func (p *Pack) Each(visit func(seed int64, picture []byte, label string) error) error {
	return p.Format.each(p, visit)
}

// labelText is a label as it is noted: "" for none.
func (p *Pack) labelText(seed int64) (name, text string) {
	if p.Label == nil {
		return "", ""
	}
	l := p.Label(seed)
	switch {
	case len(l.Numbers) > 0:
		numbers, _ := json.Marshal(map[string]any{"label": l.Numbers}) // they are finite
		return ".json", string(numbers)
	case l.Class >= 0:
		return ".cls", fmt.Sprint(l.Class)
	}
	return "", ""
}

// LabelText is the label of a picture as Each tells it.
func (p *Pack) LabelText(seed int64) string {
	_, text := p.labelText(seed)
	return text
}

// Grid writes the first pictures of all files as one picture beside a folder of this path.
func Grid(ctx context.Context, path string, packs []*Pack, want Wanted, columns int) (string, error) {
	shown, found := inGrid(want), map[int64][]byte{}
	errEnough := errors.New("enough")
	for _, p := range packs {
		err := p.Each(func(seed int64, picture []byte, _ string) error {
			if seed > shown[len(shown)-1] {
				return errEnough
			}
			found[seed] = slices.Clone(picture)
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return "", err
		}
		if len(found) == len(shown) {
			break
		}
	}
	to := GridOf(path)
	return to, grid(ctx, packs[0].Work.Disk, to, want, columns, func(seed int64) (string, []byte, [3]int, error) {
		name := fmt.Sprintf("%s!%06d.png", path, seed)
		pixels, height, width, channels, err := data.DecodePNG(name, bytes.NewReader(found[seed]))
		return name, pixels, [3]int{height, width, channels}, err
	})
}
