package data

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// What train writes into a run folder: its settings, and beside them at least one of runFiles.
const runConfig = "config.json"

var runFiles = []string{"log.txt", "stats.jsonl", "checkpoints"}

// isRunConfig says whether a file holds settings of train.
func isRunConfig(r io.Reader) bool {
	var s struct {
		Data, Preset *string
		Seed         *json.Number
	}
	return json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&s) == nil && s.Data != nil && s.Preset != nil && s.Seed != nil
}

// seedName is how sample names a picture: 000017.png.
var seedName = regexp.MustCompile(`^[0-9]{6,}\.png$`)

// gridEnding is how sample names the grid of the pictures in a folder beside it.
const gridEnding = "-grid.png"

// Pictures with names of samples are looked into, to find those that are: so many
// of a folder first, but fewer of many folders, and all if one of these is a sample.
const (
	looksInFolder = 64
	looksInAll    = 4096
	sampleBytes   = 8 << 10 // of each; the texts are at its beginning
)

// leaveOutSamples takes the pictures that sample made out of a set, unless it has no others.
func (f *files) leaveOutSamples() error {
	folders := map[string][]int{} // by folder, pictures named like samples
	for i, e := range f.entries {
		if seedName.MatchString(path.Base(e.path)) {
			folders[e.dir()] = append(folders[e.dir()], i)
		}
	}
	ours := map[string]bool{}
	made := map[string]bool{} // folders with samples
	looks := max(1, min(looksInFolder, looksInAll/max(1, len(folders))))
	for dir, numbers := range folders {
		if !slices.ContainsFunc(spread(len(numbers), looks), func(i int) bool { return f.isSample(f.entries[numbers[i]]) }) {
			continue
		}
		made[dir] = true
		for _, i := range numbers {
			if f.isSample(f.entries[i]) {
				ours[f.entries[i].path] = true
			}
		}
	}
	for _, e := range f.entries {
		if of, ok := strings.CutSuffix(e.path, gridEnding); ok && made[of] {
			ours[e.path] = true
		}
	}
	if len(ours) == 0 || len(ours) == len(f.entries) {
		return nil
	}
	var where []string
	f.entries = slices.DeleteFunc(f.entries, func(e entry) bool {
		if ours[e.path] && !slices.Contains(where, e.dir()) && len(where) < 10 {
			where = append(where, e.dir())
		}
		return ours[e.path]
	})
	slices.Sort(where)
	if i := slices.Index(where, "."); i >= 0 {
		where[i] = strings.TrimSuffix(f.root, "/")
	}
	f.notes = append(f.notes, fmt.Sprintf("left out %s made by fluxion sample: %s", count(len(ours), "picture"), some(where)))
	return nil
}

// isSample says whether a PNG has the texts that sample gives it.
func (f *files) isSample(e entry) bool {
	r, err := f.reader(e)
	if err != nil {
		return false
	}
	defer r.Close()
	begin, err := io.ReadAll(io.LimitReader(r, sampleBytes))
	if err != nil || !strings.HasPrefix(string(begin), signature) {
		return false
	}
	text := map[string]string{}
	pngChunks(begin, func(kind string, body []byte, _ bool) bool {
		addText(text, kind, body)
		return kind != "IDAT"
	})
	return text["seed"] != "" && text["key"] != "" && text["sampler"] != ""
}

// spread returns at most k of 0 … n−1, in even distances, the first among them.
func spread(n, k int) []int {
	k = min(n, k)
	all := make([]int, k)
	for i := range k {
		all[i] = int(int64(i) * int64(n) / int64(k))
	}
	return all
}
