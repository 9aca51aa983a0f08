package record

import (
	"encoding/json"
	"time"
)

// JSONL hands each status to add as an object of JSON, for a file with one a line.
func JSONL(add func(line []byte) error) Sink {
	return Func(func(s Status) error {
		line, err := json.Marshal(map[string]any{
			"time": s.Time.Format(time.RFC3339), "images": s.Images, "steps": s.Steps, "loss": s.Loss, "lr": s.LR, "grad_norm": s.GradNorm,
			"images_per_second": s.ImagesPerSecond, "elapsed_seconds": s.Elapsed.Seconds(), "skipped": len(s.Skipped), "baseline": s.Baseline,
		})
		if err != nil {
			return err
		}
		return add(line)
	})
}
