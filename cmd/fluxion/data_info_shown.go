package main

import (
	"fmt"
	"io"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
)

// classesShown and sizesShown are how many of them a person is shown.
const classesShown, sizesShown = 20, 8

// text prints what was found.
func (r *shownInfo) text(out io.Writer) error {
	number := func(n int) string { return console.Thousands(int64(n)) }
	var lines []string
	add := func(key, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-12s", key)+console.Visible(fmt.Sprintf(format, args...)))
	}
	add("data", "%s", r.Data)
	add("images", "%s", number(r.Images))
	if n := len(r.Classes); n == 0 {
		add("classes", "none")
	} else {
		var parts []string
		for _, c := range r.Classes[:min(n, classesShown)] {
			parts = append(parts, fmt.Sprintf("%s %s", c.Name, number(c.Images)))
		}
		if n > classesShown {
			parts = append(parts, "…")
		}
		if r.Unlabeled > 0 {
			parts = append(parts, "none "+number(r.Unlabeled))
		}
		add("classes", "%d: %s", n, strings.Join(parts, ", "))
	}
	if r.Headers > 0 {
		var parts []string
		for _, f := range sorted(r.Formats) {
			parts = append(parts, fmt.Sprintf("%s %s", number(r.Formats[f]), f))
		}
		of := ""
		if r.Headers < r.Images {
			of = fmt.Sprintf(", of %s that were looked at", number(r.Headers))
		}
		add("files", "%s%s", strings.Join(parts, ", "), of)
		parts = nil
		for _, s := range r.Sizes[:min(len(r.Sizes), sizesShown)] {
			parts = append(parts, fmt.Sprintf("%d×%d (%s)", s.Width, s.Height, number(s.Files)))
		}
		if more := len(r.Sizes) - sizesShown; more > 0 {
			parts = append(parts, fmt.Sprintf("and %s more", number(more)))
		}
		add("sizes", "%s", strings.Join(parts, ", "))
	}
	if r.Buckets == nil {
		add("trained as", "%d×%d×%d %s", r.Shape[0], r.Shape[1], r.Shape[2], r.Values)
	} else {
		add("trained as", "%d channels %s in buckets, a batch of one shape:", r.Shape[2], r.Values)
		add("", "%6s × %-6s %10s %6s  %s", "height", "width", "images", "share", "width/height")
		for _, b := range r.Buckets {
			add("", "%6d × %-6d %10s %5.1f%%  %.2f", b.Height, b.Width, number(b.Images), 100*float64(b.Images)/float64(r.Images), float64(b.Width)/float64(b.Height))
		}
	}
	add("values", "mean %s, deviation %s, from %.3g to %.3g, of %s images", listed(r.Mean), listed(r.Deviation), r.Least, r.Most, number(r.Looked))
	if r.Spectrum != nil {
		add("spectrum", "power falls as frequency to the %.2f", r.Slope)
	}
	for _, n := range r.Notes {
		lines = append(lines, console.Visible(noteLine(n)))
	}
	for i, b := range r.Broken {
		if i == groupsShown/10 {
			add("broken", "… and others: data check names all")
			break
		}
		add("broken", "%s", b)
	}
	if r.Sheet != "" {
		add("sheet", "%s", r.Sheet)
	}
	add("took", "%.1f s", r.Seconds)
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// listed shows a number for each channel, one if all are the same.
func listed(numbers []float64) string {
	var parts []string
	for i, x := range numbers {
		if i == 6 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%.3f", x))
	}
	return strings.Join(parts, " ")
}
