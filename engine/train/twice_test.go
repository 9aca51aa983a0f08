package train

import (
	"errors"
	"slices"
	"testing"

	"fluxion/data"
	"fluxion/kernels/number"
)

// TestLoadedTwice: one compiled step, loaded into two memories, trains on the data
// set of each, in whatever order they are loaded and run. (That of package draw
// holds it for GPUs.)
func TestLoadedTwice(t *testing.T) {
	streamed, batches := newTrainer(t, 1, 1, number.Float32)
	options := streamed.StepOptions
	options.Resident = 8
	step, err := NewStep(options)
	if err != nil {
		t.Fatal(err)
	}
	weights := make([]float32, streamed.Buffers.Parameters.Size)
	if err := streamed.Memory.Read(streamed.Buffers.Parameters, 0, weights); err != nil {
		t.Fatal(err)
	}
	inverted := slices.Clone(batches[0].Pixels.Bytes)
	for i := range inverted {
		inverted[i] = 255 - inverted[i]
	}
	b := data.Batch{Classes: batches[0].Classes, Indices: batches[0].Indices, Sources: []int64{0, 1, 2, 3, 4, 5, 6, 7}}
	loss := func(trainer *Trainer, b data.Batch) float64 {
		trainer.Hyper((&run{settings: long()}).hyper(State{Images: 1000}))
		trainer.Fill(&b)
		return lossOf(t, trainer, 0)
	}
	d := cpuDevice(t, 1)
	sets := [][]byte{batches[0].Pixels.Bytes, inverted}
	var trainers []*Trainer
	for _, pixels := range sets {
		memory, err := d.Alloc(step.Sizes())
		if err != nil {
			t.Fatal(err)
		}
		trainer, err := step.Load(d, memory)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(trainer.Free(), memory.Free()); err != nil {
				t.Error(err)
			}
		}()
		if err := errors.Join(memory.Write(step.Buffers.Parameters, 0, weights), memory.WriteBytes(step.Buffers.Images, 0, pixels)); err != nil {
			t.Fatal(err)
		}
		trainers = append(trainers, trainer)
	}
	for i, trainer := range trainers {
		brought := batches[0]
		brought.Pixels.Bytes = sets[i]
		if err := streamed.Memory.Write(streamed.Buffers.Parameters, 0, weights); err != nil {
			t.Fatal(err)
		}
		if got, want := loss(trainer, b), loss(streamed, brought); got != want {
			t.Errorf("the step in memory %d has loss %v, on the images of that memory it is %v", i, got, want)
		}
	}
}
