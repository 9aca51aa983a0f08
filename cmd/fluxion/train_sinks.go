package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"fluxion/data/durable"
	"fluxion/engine/record"
	"fluxion/engine/record/tensorboard"
	"fluxion/engine/train"
)

// What a run folder holds for other programs.
const (
	tensorBoardDir = "tensorboard"
	prometheusFile = "metrics.prom"
)

// sinks are what a run is told to beside the screen and its statistics.
func (o *trainOptions) sinks(s train.Settings, show observer) []record.Sink {
	tell := show.Note
	warn := func(format string, args ...any) { tell(fmt.Sprintf(format, args...)) }
	list := []record.Sink{
		&curves{dir: o.out, tell: tell},
		&lossCurve{dir: o.out, warn: warn},
		prometheusSink(o.out, warn),
	}
	if s.TensorBoard {
		list = append(list, tensorboard.New(filepath.Join(o.out, tensorBoardDir), parameters(s), s.Images, warn))
	}
	if o.onCheckpoint != "" {
		list = append(list, newCommandSink(o.onCheckpoint, o.out, warn))
	}
	if show.page != nil {
		list = append(list, show.page)
	}
	return list
}

// prometheusSink writes into the run folder. What the disk does not take is told once.
func prometheusSink(dir string, warn func(string, ...any)) record.Sink {
	path, told := filepath.Join(dir, prometheusFile), false
	return record.Prometheus(filepath.Base(dir), func(text []byte) {
		if err := (durable.Disk{}).WriteFile(path, text); err != nil && !told {
			told = true
			warn("%v; the run goes on", err)
		}
	})
}

// parameters are the settings of a run as TensorBoard has hyper-parameters.
func parameters(s train.Settings) map[string]any {
	text, err := json.Marshal(s)
	all := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		panic(err) // plain values
	}
	for key, v := range all {
		if list, ok := v.([]any); ok {
			all[key] = strings.Trim(fmt.Sprint(list), "[]")
		}
	}
	return all
}
