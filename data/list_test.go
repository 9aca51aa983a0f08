package data_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
)

// partLine is the line of a part, as data info --json has it.
func partLine(t *testing.T, spec string) string {
	t.Helper()
	set, err := data.Open(spec, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	type class struct {
		Name   string `json:"name"`
		Images int    `json:"images"`
	}
	f, classes := set.Fingerprint(), []class{}
	for i, name := range f.Classes {
		classes = append(classes, class{name, f.Counts[i]})
	}
	h, w, c := set.Shape()
	text, err := json.Marshal(map[string]any{"data": spec, "images": f.Images, "classes": classes, "shape": []int{h, w, c}, "values": set.Kind().String(), "digest": f.Digest, "event": "done"})
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// listOf makes parts of pictures, of 5, 6, … images, and their list; picture i of all is grey i.
func listOf(t *testing.T, parts int) (list string, folders []string) {
	t.Helper()
	dir, text, shade := t.TempDir(), "", 0
	for p := range parts {
		folder := filepath.Join(dir, fmt.Sprint("part", p))
		for i := range 5 + p {
			class := filepath.Join(folder, []string{"a", "b", "c"}[(i+p)%2+p%2])
			if err := os.MkdirAll(class, 0o777); err != nil {
				t.Fatal(err)
			}
			datatest.WritePNG(t, filepath.Join(class, fmt.Sprintf("%d.png", i)), bytes.Repeat([]byte{byte(shade)}, 4), 2, 2, 1, nil)
			shade++
		}
		text, folders = text+partLine(t, folder), append(folders, folder)
	}
	list = filepath.Join(dir, "set.jsonl")
	put(t, list, []byte(text))
	return "list:" + list, folders
}

// streamOf is the pixels of a share of a list's stream, by position, with the classes.
func streamOf(t *testing.T, spec string, first, end int) map[int64]string {
	t.Helper()
	set, err := data.Open(spec, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	const step, batch, steps = 4, 3, 5
	l, err := data.NewLoader(set, data.LoaderOptions{Batch: batch, Seed: 3, Step: step, First: first, End: end})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := map[int64]string{}
	for range steps * (end - first) {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range b.Indices {
			got[at] = fmt.Sprint(b.Pixels.Bytes[4*i], " ", set.Classes()[b.Classes[i]])
		}
		l.Release(b)
	}
	return got
}

// TestList: each micro-batch is of one part, so that the stream of a process is the same where
// the parts that it does not need are elsewhere; what it lacks is said before its first batch.
func TestList(t *testing.T) {
	list, folders := listOf(t, 2)
	whole := streamOf(t, list, 0, 4)
	if len(whole) != 60 {
		t.Fatalf("%d positions, want 60", len(whole))
	}
	set, err := data.Open(list, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	mark, classes := set.Fingerprint(), set.Classes()
	if set.Len() != 11 || !slices.Equal(classes, []string{"a", "b", "c"}) || data.Partial(set) || set.Name() != "set" || mark.Images != 11 || mark.Counts[0]+mark.Counts[1]+mark.Counts[2] != 11 {
		t.Errorf("%s: %d images of %v, %+v", set.Name(), set.Len(), classes, mark)
	}
	seen := map[string]int{}
	for at, image := range whole {
		var shade int
		if _, err := fmt.Sscan(image, &shade); err != nil {
			t.Fatal(err)
		}
		if part := int(at/3) % 4 / 2; (shade >= 5) != (part == 1) {
			t.Errorf("position %d has image %d, which is of another part", at, shade)
		}
		seen[image]++
	}
	if len(seen) != 11 {
		t.Errorf("%d images were seen, with their classes, of 11", len(seen))
	}
	for part, away := range []string{folders[1], folders[0]} {
		if err := os.Rename(away, away+".away"); err != nil {
			t.Fatal(err)
		}
		for at, image := range streamOf(t, list, 2*part, 2*part+2) {
			if whole[at] != image {
				t.Errorf("position %d is %s where a part is elsewhere, and %s with all", at, image, whole[at])
			}
		}
		here, err := data.Open(list, data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := here.Fingerprint(); got.Digest != mark.Digest || !slices.Equal(got.Counts, mark.Counts) || !data.Partial(here) || !strings.Contains(fmt.Sprint(data.Notes(here)), "1 of the 2 parts") {
			t.Errorf("fingerprint %+v, with all parts %+v; notes %v", got, mark, data.Notes(here))
		}
		if _, err := data.NewLoader(here, data.LoaderOptions{Batch: 3, Step: 4, First: 0, End: 4}); err == nil || !strings.Contains(err.Error(), away+": is a part that is not on this machine, and the process here has micro-batches 1 to 4 of 4") {
			t.Errorf("a part that is needed and not here: %v", err)
		}
		if err := here.Read([]int{10, 0}[part], data.NewExample(here)); err == nil || !strings.Contains(err.Error(), "not on this machine") {
			t.Errorf("an image of a part that is not here: %v", err)
		}
		here.Close()
		if err := os.Rename(away+".away", away); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := data.NewLoader(set, data.LoaderOptions{Batch: 3, Step: 3, First: 0, End: 3}); err == nil || !strings.Contains(err.Error(), "want --accumulate 2, or a multiple") {
		t.Errorf("2 parts in 3 micro-batches: %v", err)
	}
}

// TestListRefuses: what is wrong with a list is said in one line.
func TestListRefuses(t *testing.T) {
	list, folders := listOf(t, 2)
	path := strings.TrimPrefix(list, "list:")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(good), "\n")
	for text, want := range map[string]string{
		"":                    "there is no part",
		"{":                   "line 1 is no JSON of a part",
		`{"data": "x"}`:       "line 1 lacks data, images, shape or digest",
		lines[0] + "\n" + "3": "line 3 is no JSON",
		strings.Replace(lines[0], `"images":5`, `"images":6`, 1):                   "holds 5 images of 2 classes",
		strings.ReplaceAll(strings.ReplaceAll(lines[1], "part1", "gone"), "x", ""): "none of its 1 parts is here",
		strings.Replace(lines[0], `"data":"`, `"data":"latents:`, 1):               "parts are sets of images",
	} {
		put(t, path, []byte(text))
		if _, err := data.Open(list, data.Options{}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	put(t, path, good)
	if _, err := data.Open(list, data.Options{Labels: "numbers"}); err == nil || !strings.Contains(err.Error(), "labels of numbers want one set") {
		t.Errorf("numbers: %v", err)
	}
	datatest.WritePNG(t, filepath.Join(folders[0], "a", "9.png"), make([]byte, 4), 2, 2, 1, nil)
	if _, err := data.Open(list, data.Options{}); err == nil || !strings.Contains(err.Error(), "want its line made anew") {
		t.Errorf("a part that has changed: %v", err)
	}
	if _, err := data.Open("list:"+filepath.Join(t.TempDir(), "none"), data.Options{}); err == nil || !strings.Contains(err.Error(), "cannot be opened as a list of parts") {
		t.Errorf("no list: %v", err)
	}
}
