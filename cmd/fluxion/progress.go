package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/engine/record"
	"fluxion/engine/train"

	"golang.org/x/term"
)

// observer shows a run to a person or a machine.
type observer interface {
	train.Observer
	done(train.Result)
	ended(error) // without a result
}

func newObserver(out io.Writer, asJSON bool) observer {
	if asJSON {
		return jsonFace{out}
	}
	f, ok := out.(terminal)
	return &textFace{out: out, live: ok && term.IsTerminal(int(f.Fd()))}
}

// terminal is an output that may be one.
type terminal interface{ Fd() uintptr }

// fit cuts a line to the terminal's width: one that wraps cannot be overwritten.
func fit(out io.Writer, text string) string {
	f, ok := out.(terminal)
	if !ok {
		return text
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 1 && len(text) >= width {
		text = text[:width-1]
	}
	return text
}

// jsonFace prints one object for each event.
type jsonFace struct{ out io.Writer }

func (j jsonFace) emit(event string, fields map[string]any) {
	fields["event"] = event
	for key, v := range fields {
		if x, ok := v.(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
			fields[key] = nil // JSON has no such numbers
		}
	}
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err) // only plain values get here
	}
	fmt.Fprintf(j.out, "%s\n", line)
}

func (j jsonFace) Start(s train.Start) {
	changes := []map[string]any{}
	for _, c := range s.Changes {
		changes = append(changes, map[string]any{"key": c.Key, "old": c.Old, "new": c.New})
	}
	apart := map[string]any{}
	for _, c := range s.Apart {
		apart[c.Key] = map[string]any{"recipe": c.Old, "run": c.New}
	}
	j.emit("start", map[string]any{
		"recipe": s.Recipe.Of, "apart": apart, "baseline": s.Baseline, "pixel_variance": s.Variance,
		"run": s.Run, "settings": s.Settings, "changes": changes, "from": s.From, "images": s.Images, "notes": append([]string{}, s.Notes...),
		"dataset": s.Dataset, "dataset_images": s.DatasetImages, "height": s.Height, "width": s.Width, "channels": s.Channels, "floats": s.Floats,
		"classes": len(s.Classes), "resident": s.Resident, "parameters": s.Parameters, "tensors": s.Tensors, "objective": s.Objective, "weighting": s.Weighting,
		"device": s.Device, "precision": s.Settings.Precision, "planned_bytes": s.PlannedBytes, "kept_bytes": s.KeptBytes, "recomputed_flops": s.AgainFLOPs,
		"flop_per_image": float64(s.StepFLOPs) / float64(s.Settings.Batch),
	})
}

func (j jsonFace) Status(s record.Status) {
	j.emit("status", map[string]any{
		"time": s.Time.Format(time.RFC3339), "images": s.Images, "of": s.Of, "steps": s.Steps, "loss": s.Loss, "lr": s.LR, "grad_norm": s.GradNorm,
		"images_per_second": s.ImagesPerSecond, "elapsed_seconds": s.Elapsed.Seconds(), "left_seconds": s.Left.Seconds(), "skipped": len(s.Skipped), "baseline": s.Baseline,
	})
}

func (j jsonFace) Stuck(s train.Stuck) {
	j.emit("stuck", map[string]any{"images": s.Images, "loss": s.Loss, "baseline": s.Baseline, "lr": s.LR, "try_lr": s.TryLR, "text": s.String()})
}

func (j jsonFace) Checkpoint(path string, images int64) {
	j.emit("checkpoint", map[string]any{"path": path, "images": images})
}

func (j jsonFace) Samples(path string, images int64) {
	j.emit("samples", map[string]any{"path": path, "images": images})
}

func (j jsonFace) Note(text string) { j.emit("note", map[string]any{"text": text}) }

func (j jsonFace) done(r train.Result) {
	j.emit("done", map[string]any{
		"run": r.Run, "images": r.Images, "steps": r.Steps, "loss": r.Loss, "seconds": r.Seconds,
		"checkpoint": r.Checkpoint, "already": r.AlreadyRun, "unlearned": r.Unlearned,
	})
}

func (j jsonFace) ended(err error) {
	j.emit("ended", map[string]any{"error": strings.ReplaceAll(err.Error(), "\n", "; "), "code": exitCode(err)})
}

func (j jsonFace) Err() error { return console.Lost(j.out) }

// textFace prints a table, then one live line on a terminal, or lines now and then.
type textFace struct {
	out   io.Writer
	live  bool
	shown time.Time
	open  bool // the live line has no end yet
}

// linePeriod is the time between two lines where none is live.
const linePeriod = 10 * time.Second

func (t *textFace) line(format string, args ...any) {
	t.broken()
	fmt.Fprintln(t.out, console.Visible(fmt.Sprintf(format, args...)))
}

func (t *textFace) ended(error) { t.broken() } // main tells the error

// broken ends the live line.
func (t *textFace) broken() {
	if t.open {
		fmt.Fprintln(t.out)
		t.open = false
	}
}

func (t *textFace) Start(s train.Start) {
	labels := "none"
	if n := len(s.Classes); n > 0 {
		labels = fmt.Sprintf("%d classes: %s", n, console.Abridged(s.Classes, 10))
	}
	images := fmt.Sprintf("%s, %s images of %d×%d×%d", s.Dataset, console.Thousands(int64(s.DatasetImages)), s.Height, s.Width, s.Channels)
	if s.Floats {
		images += ", float32"
	}
	if s.Resident {
		images += ", kept on the device"
	}
	rows := [][2]string{
		{"data", images},
		{"labels", labels},
		{"network", fmt.Sprintf("%s, %s parameters in %d tensors", s.Settings.Preset, console.Thousands(int64(s.Parameters)), s.Tensors)},
		{"objective", s.Objective},
		{"weighting", s.Weighting},
		{"recipe", recipeRow(s.Recipe)},
		{"length", fmt.Sprintf("%s images in steps of %d", console.Thousands(s.Settings.Images), s.Settings.Batch)},
		{"baseline", fmt.Sprintf("loss %.4f of a network that knows only the variance of the pixels, %.3f", s.Baseline, s.Variance)},
		{"device", fmt.Sprintf("%s, %s", s.Device, s.Settings.Precision)},
		{"memory", fmt.Sprintf("%s planned; %.2f GFLOP an image", console.Size(s.PlannedBytes), float64(s.StepFLOPs)/float64(s.Settings.Batch)/1e9)},
		{"run folder", s.Run},
	}
	if name := s.Settings.Recompute; name != "none" {
		rows = slices.Insert(rows, len(rows)-1, [2]string{"recompute", fmt.Sprintf("%s: %s instead of %s, for %.1f %% more arithmetic",
			name, console.Size(s.PlannedBytes), console.Size(s.KeptBytes), 100*float64(s.AgainFLOPs)/float64(s.StepFLOPs-s.AgainFLOPs))})
	}
	if share := s.Settings.SelfConditioning; share > 0 {
		rows = slices.Insert(rows, 3, [2]string{"estimate", fmt.Sprintf("self-conditioning: the network's own of the clean image, given for %.3g %% of the images, made by a pass without gradient in every step", 100*share)})
	}
	if len(s.Apart) > 0 {
		at := slices.IndexFunc(rows, func(r [2]string) bool { return r[0] == "recipe" })
		rows = slices.Insert(rows, at+1, [2]string{"overridden", apartRow(s.Apart)})
	}
	if s.From != "" {
		rows = append(rows, [2]string{"resumes", fmt.Sprintf("%s, %s images seen", s.From, console.Thousands(s.Images))})
	}
	for _, n := range s.Notes {
		rows = append(rows, [2]string{"note", n})
	}
	for _, c := range s.Changes {
		rows = append(rows, [2]string{"changed", fmt.Sprintf("%s was %v, now %v", c.Key, c.Old, c.New)})
	}
	for _, r := range rows {
		t.line("%-11s %s", r[0], r[1])
	}
}

// recipeRow is the preset's recipe, and where it is from if that is not plain.
func recipeRow(r train.Recipe) string {
	of := r.Of
	if r.Why != "" {
		of += " (" + r.Why + ")"
	}
	return fmt.Sprintf("%s: %v", of, r)
}

// apartRow is what a run does otherwise than the recipe, and what that says.
func apartRow(apart []train.Change) string {
	var parts []string
	for _, c := range apart {
		parts = append(parts, fmt.Sprintf("%s %v (%v)", c.Key, c.New, c.Old))
	}
	return strings.Join(parts, ", ")
}

func (t *textFace) Status(s record.Status) {
	text := fmt.Sprintf("%s/%s images  %3.0f%%  loss %.4f  lr %.2g  %.1f img/s  %s left",
		console.Thousands(s.Images), console.Thousands(s.Of), 100*float64(s.Images)/float64(s.Of), s.Loss, s.LR, s.ImagesPerSecond, s.Left.Round(time.Second))
	if n := len(s.Skipped); n > 0 {
		text += fmt.Sprintf("  broken and left out: %d", n)
	}
	t.status(text, s.Images >= s.Of)
}

// status shows how far it is: at once where a line is live, else now and then and at the end.
func (t *textFace) status(text string, last bool) {
	if t.live {
		fmt.Fprintf(t.out, "\r\x1b[K%s", fit(t.out, text))
		t.open = true
		return
	}
	if last || time.Since(t.shown) >= linePeriod {
		t.shown = time.Now()
		t.line("%s", text)
	}
}

func (t *textFace) Checkpoint(path string, _ int64) { t.line("checkpoint  %s", path) }
func (t *textFace) Samples(path string, _ int64)    { t.line("samples     %s", path) }
func (t *textFace) Stuck(s train.Stuck)             { t.line("stuck       %v", s) }
func (t *textFace) Note(text string)                { t.line("note        %s", text) }

func (t *textFace) Err() error { return console.Lost(t.out) }

func (t *textFace) done(r train.Result) {
	if r.AlreadyRun {
		t.line("%s is finished: %s images seen. More --images go on with it, --fresh starts anew.", r.Run, console.Thousands(r.Images))
		return
	}
	if r.Unlearned != "" {
		t.Note(r.Unlearned)
	}
	t.line("done        %s images, %d steps, loss %.4f, %.0f s", console.Thousands(r.Images), r.Steps, r.Loss, r.Seconds)
	// Each length of each run has a folder of its own: pictures of others would be refused.
	pictures := filepath.Join("out", fmt.Sprintf("%s-%d", filepath.Base(r.Run), r.Images))
	count := "64"
	if r.Floats {
		pictures, count = pictures+samples.ArrayEnding, "1000"
	}
	t.line("next        %s", console.ShellWords(console.ProgramName(), "sample", "--model", r.Run, "--out", pictures, "--count", count))
}

// samplePeriod is the time between two statuses of sampling.
const samplePeriod = time.Second

// sampleProgress shows how many images of a sampling are made.
type sampleProgress struct {
	of           int
	begin, shown time.Time
	json         *jsonFace // nil: text
	text         *textFace
}

func newSampleProgress(out io.Writer, of int, asJSON bool) *sampleProgress {
	now := time.Now()
	p := &sampleProgress{of: of, begin: now, shown: now}
	switch face := newObserver(out, asJSON).(type) {
	case jsonFace:
		p.json = &face
	case *textFace:
		face.shown = now // short work needs no line but the last
		p.text = face
	}
	return p
}

func (p *sampleProgress) show(images int) {
	if time.Since(p.shown) < samplePeriod {
		return
	}
	p.shown = time.Now()
	rate := float64(images) / time.Since(p.begin).Seconds()
	left := time.Duration(float64(p.of-images) / rate * float64(time.Second))
	if p.json != nil {
		p.json.emit("status", map[string]any{"images": images, "of": p.of, "images_per_second": rate, "left_seconds": left.Seconds()})
		return
	}
	p.text.status(fmt.Sprintf("%s/%s images  %3.0f%%  %.1f img/s  %s left", console.Thousands(int64(images)), console.Thousands(int64(p.of)),
		100*float64(images)/float64(p.of), rate, left.Round(time.Second)), false)
}

// end ends the live line.
func (p *sampleProgress) end() {
	if p.text != nil {
		p.text.broken()
	}
}
