package record

import (
	"bytes"
	"encoding/json"
	"time"
)

// JSONL hands each status and each evaluation to add as an object of JSON, for a file
// with one a line. Lines of evaluations have the key metrics.
func JSONL(add func(line []byte) error) Sink { return jsonl{add: add} }

type jsonl struct {
	Nothing
	add func(line []byte) error
}

func (j jsonl) Status(s Status) error {
	fields := map[string]any{
		"time": s.Time.Format(time.RFC3339), "images": s.Images, "steps": s.Steps, "loss": s.Loss, "lr": s.LR, "grad_norm": s.GradNorm,
		"images_per_second": s.ImagesPerSecond, "elapsed_seconds": s.Elapsed.Seconds(), "skipped": len(s.Skipped), "baseline": s.Baseline,
	}
	if s.NoiseScale > 0 {
		fields["noise_scale"] = s.NoiseScale
	}
	return j.line(fields)
}

func (j jsonl) Evaluation(e Evaluation) error { return j.line(e.Fields()) }

func (j jsonl) line(fields map[string]any) error {
	line, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return j.add(line)
}

// Loss is that of a status.
type Loss struct {
	Images int64
	Loss   float64
}

// Losses reads those of the statuses among the lines that JSONL made.
func Losses(lines []byte) (list []Loss) {
	for line := range bytes.Lines(lines) {
		var s struct {
			Images int64
			Loss   *float64
		}
		if json.Unmarshal(line, &s) == nil && s.Loss != nil {
			list = append(list, Loss{s.Images, *s.Loss})
		}
	}
	return list
}

// Newest is the last status among the lines that JSONL made, as far as they tell.
func Newest(lines []byte) (s Status, ok bool) {
	var found struct {
		Time            time.Time
		Images, Steps   int64
		Loss            *float64
		LR              float64
		ImagesPerSecond float64 `json:"images_per_second"`
		Elapsed         float64 `json:"elapsed_seconds"`
	}
	for rest := lines; len(rest) > 0 && !ok; {
		cut := bytes.LastIndexByte(rest[:len(rest)-1], '\n') + 1
		ok = json.Unmarshal(rest[cut:], &found) == nil && found.Loss != nil
		rest = rest[:cut]
	}
	if ok {
		s = Status{Time: found.Time, Images: found.Images, Steps: found.Steps, Loss: *found.Loss, LR: found.LR, ImagesPerSecond: found.ImagesPerSecond, Elapsed: time.Duration(found.Elapsed * float64(time.Second))}
	}
	return s, ok
}
