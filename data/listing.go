package data

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// listing is what was found in a folder or a zip.
type listing struct {
	pictures []entry
	others   map[string]int // pictures in formats that are not read, by ending
	dead     []string       // links that lead nowhere
	devices  []string       // pictures' names on what is not a file
	runs     []string       // run folders
	labels   *entry         // EDM's file of labels
	other    string         // of a folder, the first file that is data in another form
}

// unread are the endings of pictures in formats that are not read here.
var unread = []string{".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".psd", ".xcf", ".svg", ".ico", ".icns", ".tga", ".pcx",
	".ppm", ".pgm", ".pbm", ".pnm", ".qoi", ".exr", ".hdr", ".dds", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".eps"}

// add takes a file; what is no picture is passed over.
func (l *listing) add(e entry) {
	if isPicture(e.path) {
		l.pictures = append(l.pictures, e)
		return
	}
	if e.path == edmLabels {
		l.labels = &e
	}
	if ext := strings.ToLower(path.Ext(e.path)); slices.Contains(unread, ext) {
		if l.others == nil {
			l.others = map[string]int{}
		}
		l.others[ext]++
	}
}

// notes says what was left out.
func (l *listing) notes() (notes []string) {
	if len(l.others) > 0 {
		total, parts := 0, []string{}
		for _, ext := range slices.Sorted(maps.Keys(l.others)) {
			total += l.others[ext]
			parts = append(parts, fmt.Sprintf("%d %s", l.others[ext], ext))
		}
		notes = append(notes, fmt.Sprintf("left out %s in formats that are not read: %s", count(total, "picture"), strings.Join(parts, ", ")))
	}
	if n := len(l.dead); n > 0 {
		notes = append(notes, fmt.Sprintf("left out %s that cannot be followed: %s", count(n, "link"), some(l.dead)))
	}
	if n := len(l.devices); n > 0 {
		notes = append(notes, fmt.Sprintf("left out %s that are pipes, sockets or devices: %s", count(n, "name"), some(l.devices)))
	}
	if n := len(l.runs); n > 0 {
		notes = append(notes, fmt.Sprintf("left out %s of Fluxion: %s", count(n, "run folder"), some(l.runs)))
	}
	return notes
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// some names of many.
func some(names []string) string {
	const most = 3
	s := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		s += ", …"
	}
	return s
}
