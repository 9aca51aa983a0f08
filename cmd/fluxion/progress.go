package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/runpage"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/engine/record"
	"fluxion/engine/train"
)

// observer shows a run, on the screen and on its page.
type observer struct {
	console.Face
	page  *runpage.Page // nil: none
	paper string        // a paper's recipe, and what the run does otherwise; "": none
}

func (o observer) Start(s train.Start) {
	changes := []map[string]any{}
	for _, c := range s.Changes {
		changes = append(changes, map[string]any{"key": c.Key, "old": c.Old, "new": c.New})
	}
	apart := map[string]any{}
	for _, c := range s.Apart {
		apart[c.Key] = map[string]any{"recipe": c.Old, "run": c.New}
	}
	start := map[string]any{
		"recipe": s.Recipe.Of, "apart": apart, "baseline": s.Baseline, "pixel_variance": s.Variance,
		"run": s.Run, "settings": s.Settings, "changes": changes, "from": s.From, "images": s.Images, "notes": append([]string{}, s.Notes...),
		"dataset": s.Dataset, "dataset_images": s.DatasetImages, "height": s.Height, "width": s.Width, "channels": s.Channels, "floats": s.Floats,
		"classes": len(s.Classes), "numbers": s.Numbers, "resident": s.Resident, "parameters": s.Parameters, "tensors": s.Tensors,
		"device": s.Device, "precision": s.Settings.Precision, "planned_bytes": s.PlannedBytes, "beside_bytes": s.BesideBytes, "kept_bytes": s.KeptBytes, "recomputed_flops": s.AgainFLOPs,
		"flop_per_image": float64(s.StepFLOPs) / float64(s.Settings.Batch),
	}
	if n := s.Snapshots; n.Files > 0 {
		start["snapshots"] = map[string]any{"averages": n.Averages, "files": n.Files, "bytes": n.Bytes, "type": n.Type}
	}
	for _, row := range s.About {
		start[row[0]] = row[1]
	}
	rows := startRows(s)
	if o.paper != "" {
		rows = slices.DeleteFunc(rows, func(r [2]string) bool { return r[0] == "recipe" || r[0] == "overridden" }) // than the preset's
		rows = slices.Insert(rows, 3, [2]string{"recipe", o.paper})
		start["paper"] = o.paper
	}
	if o.page != nil {
		o.page.About(rows)
		rows = append(rows, [2]string{"page", o.page.URL()})
		start["page"] = o.page.URL()
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = fmt.Sprintf("%-11s %s", r[0], r[1])
	}
	o.Event("start", start, lines...)
}

// startRows are what a person is told of a run before its first step.
func startRows(s train.Start) [][2]string {
	labels := cmp.Or(s.Numbers, "none")
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
		{"recipe", recipeRow(s.Recipe)},
		{"length", fmt.Sprintf("%s images in steps of %d", console.Thousands(s.Settings.Images), s.Settings.Batch)},
		{"baseline", baselineText(s)},
		{"device", fmt.Sprintf("%s, %s", s.Device, s.Settings.Precision)},
		{"memory", takesRow(s)},
		{"run folder", s.Run},
	}
	if n := s.Snapshots; n.Files > 0 {
		rows = slices.Insert(rows, len(rows)-1, [2]string{"snapshots", fmt.Sprintf("of averages %s every %s images: %d files, %s in all, in %s; none is removed",
			strings.Join(n.Averages, ", "), console.Thousands(s.Settings.EMASnapshotEvery), n.Files, console.Size(n.Bytes), n.Type)})
	}
	if name := s.Settings.Recompute; name != "none" {
		rows = slices.Insert(rows, len(rows)-1, [2]string{"recompute", fmt.Sprintf("%s: %s instead of %s, for %.1f %% more arithmetic",
			name, console.Size(s.PlannedBytes), console.Size(s.KeptBytes), 100*float64(s.AgainFLOPs)/float64(s.StepFLOPs-s.AgainFLOPs))})
	}
	rows = slices.Insert(rows, 3, s.About...)
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
	return rows
}

// takesRow is what the run takes, and what steps cost.
func takesRow(s train.Start) string {
	beside := ""
	if s.BesideBytes > 0 {
		beside = fmt.Sprintf(", and %s for evaluation", console.Size(s.BesideBytes))
	}
	return fmt.Sprintf("%s planned%s; %.2f GFLOP an image", console.Size(s.PlannedBytes), beside, float64(s.StepFLOPs)/float64(s.Settings.Batch)/1e9)
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

// percent of a run that is done: the last step may have more images than were asked for.
func percent(images, of int64) float64 { return min(100, 100*float64(images)/float64(of)) }

func (o observer) Status(s record.Status) {
	line := fmt.Sprintf("%s/%s images  %3.0f%%  loss %.4f  lr %.2g  %.1f img/s  %s left",
		console.Thousands(s.Images), console.Thousands(s.Of), percent(s.Images, s.Of), s.Loss, s.LR, s.ImagesPerSecond, s.Left.Round(time.Second))
	if s.NoiseScale > 0 {
		line += fmt.Sprintf("  noise scale %.3g", s.NoiseScale)
	}
	if n := len(s.Skipped); n > 0 {
		line += fmt.Sprintf("  broken and left out: %d", n)
	}
	fields := map[string]any{
		"images": s.Images, "of": s.Of, "steps": s.Steps, "loss": s.Loss, "lr": s.LR, "grad_norm": s.GradNorm,
		"images_per_second": s.ImagesPerSecond, "elapsed_seconds": s.Elapsed.Seconds(), "left_seconds": s.Left.Seconds(), "skipped": len(s.Skipped), "baseline": s.Baseline,
	}
	if s.NoiseScale > 0 {
		fields["noise_scale"] = s.NoiseScale
	}
	o.Face.Status(fields, line, s.Images >= s.Of)
}

func (o observer) Stuck(s train.Stuck) {
	o.Event("stuck", map[string]any{"images": s.Images, "loss": s.Loss, "baseline": s.Baseline, "lr": s.LR, "try_lr": s.TryLR, "text": s.String()},
		"stuck       "+s.String())
	o.tellPage(s.String())
}

func (o observer) Checkpoint(path string, images int64) {
	o.Event("checkpoint", map[string]any{"path": path, "images": images}, "checkpoint  "+path)
}

func (o observer) Samples(path string, images int64) {
	o.Event("samples", map[string]any{"path": path, "images": images}, "samples     "+path)
}

// making shows how far a grid is that takes a while.
func (o observer) making() func(done, of int) {
	var p *imageProgress
	last := 0
	return func(done, of int) {
		if p == nil || done < last { // of another grid
			p = newImageProgress(o.Face, "grid", of)
		}
		if last = done; done > 0 {
			p.show(done)
		}
	}
}

func (o observer) Evaluation(e record.Evaluation) {
	o.Event("evaluation", e.Fields(), fmt.Sprintf("evaluation  %v; after %s images, in %.1f s; evaluation takes %s of the time", e, console.Thousands(e.Images), e.Seconds, record.Percent(e.Share)))
}

func (o observer) Note(text string) {
	o.Event("note", map[string]any{"text": text}, noteLine(text))
	o.tellPage(text)
}

func (o observer) tellPage(text string) {
	if o.page != nil {
		o.page.Note(text)
	}
}

// noteLine is a note as a person is told it.
func noteLine(text string) string { return "note        " + text }

func (o observer) done(r train.Result) {
	done := map[string]any{
		"run": r.Run, "images": r.Images, "steps": r.Steps, "loss": r.Loss, "seconds": r.Seconds,
		"checkpoint": r.Checkpoint, "already": r.AlreadyRun, "unlearned": r.Unlearned,
	}
	if b := r.Best; b != nil {
		done["best"] = map[string]any{"metric": b.Metric, "value": b.Value, "images": b.Images, "checkpoint": b.Path(r.Run)}
	}
	o.Event("done", done, doneLines(r)...)
}

func doneLines(r train.Result) (lines []string) {
	if r.AlreadyRun {
		return []string{fmt.Sprintf("%s is finished: %s images seen. More --images go on with it, --fresh starts anew.", r.Run, console.Thousands(r.Images))}
	}
	if r.Unlearned != "" {
		lines = append(lines, noteLine(r.Unlearned))
	}
	// Each length of each run has a folder of its own: pictures of others would be refused.
	pictures := filepath.Join("out", fmt.Sprintf("%s-%d", filepath.Base(r.Run), r.Images))
	count := "64"
	if r.Floats {
		pictures, count = pictures+samples.ArrayEnding, "1000"
	}
	lines = append(lines, fmt.Sprintf("done        %s images, %d steps, loss %.4f, %.0f s", console.Thousands(r.Images), r.Steps, r.Loss, r.Seconds))
	if b := r.Best; b != nil {
		lines = append(lines, fmt.Sprintf("best        %s: %s %.5g; sample --model %s@best takes it", b.Path(r.Run), b.Metric, b.Value, console.ShellWords(r.Run)))
	}
	next := []string{console.ProgramName(), "sample", "--model", r.Run, "--out", pictures}
	if r.Inputs != "" {
		next = append(next, "--input", r.Inputs)
		if r.Fit != "" {
			next = append(next, "--fit", r.Fit)
		}
	} else {
		next = append(next, "--count", count)
	}
	return append(lines, "next        "+console.ShellWords(next...))
}

// samplePeriod is the time between two statuses of sampling.
const samplePeriod = time.Second

// imageProgress shows how many images are done, of a set that may have a name.
type imageProgress struct {
	console.Face
	set          string
	of           int
	begin, shown time.Time
}

func newImageProgress(face console.Face, set string, of int) *imageProgress {
	face.Begin() // short work needs no line
	now := time.Now()
	return &imageProgress{face, set, of, now, now}
}

func (p *imageProgress) show(images int) {
	if time.Since(p.shown) < samplePeriod {
		return
	}
	p.shown = time.Now()
	rate := record.PerSecond(float64(images), time.Since(p.begin))
	left := time.Duration(float64(p.of-images) / rate * float64(time.Second))
	event, text := map[string]any{"images": images, "of": p.of, "images_per_second": rate, "left_seconds": left.Seconds()}, ""
	if p.set != "" {
		event["set"], text = p.set, p.set+": "
	}
	p.Status(event,
		fmt.Sprintf("%s%s/%s images  %3.0f%%  %.1f img/s  %s left", text, console.Thousands(int64(images)), console.Thousands(int64(p.of)),
			100*float64(images)/float64(p.of), rate, left.Round(time.Second)), false)
}

// baselineText is what the loss of a network without knowledge would be, where that is known.
func baselineText(s train.Start) string {
	if s.Baseline == 0 {
		return "not known for this objective"
	}
	return fmt.Sprintf("loss %.4f of a network that knows only the variance of the pixels, %.3f", s.Baseline, s.Variance)
}
