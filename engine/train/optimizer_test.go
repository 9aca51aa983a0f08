package train

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/nets"
	"fluxion/nets/safetensors"
)

// nothing is what a user says who says nothing.
func nothing(string) bool { return false }

// withSGD is a run of SGD.
func withSGD() Settings {
	s := small()
	s.Optimizer, s.Nesterov, s.LR = "sgd", true, 0.05
	s.SampleCount = 0
	return s.Switched(small(), func(key string) bool { return key == "nesterov" })
}

// TestSwitched: what belongs to one method alone goes with it, what the user said stays,
// and what means nothing is refused.
func TestSwitched(t *testing.T) {
	s := withSGD()
	if s.Beta1 != 0 || s.Beta2 != 0 || s.Epsilon != 0 || s.Momentum != 0.9 || !s.Nesterov {
		t.Errorf("SGD has betas %v and %v, epsilon %v, momentum %v, Nesterov %t", s.Beta1, s.Beta2, s.Epsilon, s.Momentum, s.Nesterov)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if same := s.Switched(s, nothing); same != s {
		t.Error("settings whose methods are as before are others")
	}
	back := s
	back.Optimizer = "adamw"
	if back = back.Switched(s, nothing); back.Beta1 != 0.9 || back.Momentum != 0 || back.Nesterov || back.Validate() != nil {
		t.Errorf("back to AdamW: %+v, %v", back, back.Validate())
	}
	said := small()
	said.Optimizer, said.Momentum, said.Beta1 = "sgd", 0, 0.5
	said = said.Switched(small(), func(key string) bool { return key == "momentum" || key == "beta1" })
	if said.Momentum != 0 || said.Beta1 != 0.5 {
		t.Errorf("what was said has become momentum %v, beta1 %v", said.Momentum, said.Beta1)
	}
	for key, change := range map[string]func(*Settings){
		"beta1":     func(s *Settings) { *s = said },
		"momentum":  func(s *Settings) { *s = small(); s.Momentum = 0.9 },
		"nesterov":  func(s *Settings) { s.Momentum = 0 },
		"optimizer": func(s *Settings) { s.Optimizer = "adagrad" },
		"epsilon":   func(s *Settings) { *s = small(); s.Epsilon = 0 },
	} {
		bad := withSGD()
		change(&bad)
		var e *SettingError
		if err := bad.Validate(); !errors.As(err, &e) || e.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestSpelled: settings behind the name of a method are those by their own names, and
// what is wrong with them is told.
func TestSpelled(t *testing.T) {
	from := func(text string, said func(string) bool) Settings {
		s := small()
		s.Optimizer, s.Momentum = text, 0.5
		return s.Switched(small(), said)
	}
	s := from("sgd:momentum=0.8,nesterov=true", nothing)
	if s.Optimizer != "sgd" || s.Momentum != 0.8 || !s.Nesterov || s.Beta1 != 0 || s.Validate() != nil {
		t.Errorf("%s has momentum %v, Nesterov %t, beta1 %v: %v", s.Optimizer, s.Momentum, s.Nesterov, s.Beta1, s.Validate())
	}
	for text, want := range map[string]string{
		"sgd:momentum=0.8": "optimizer: sgd:momentum=0.8 beside momentum 0.5; want one of the two",
		"sgd:momentum=1":   "optimizer: momentum of sgd: 1 is out of range, want a number in [0, 1)",
		"sgd:beta1=0.9":    `optimizer: unknown setting of sgd "beta1": there are momentum, nesterov`,
		"lion:":            `optimizer: unknown setting of lion "": there are beta1, beta2`,
		"adamx:beta1=0.9":  `optimizer: unknown optimizer "adamx": did you mean "adamw"? there are adamw, adam, radam, sgd, lion, muon`,
	} {
		said := func(key string) bool { return key == "momentum" }
		if err := from(text, said).Validate(); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	rate := small()
	rate.LRSchedule = "inverse-sqrt:lr_ref=40"
	if rate = rate.Switched(small(), nothing); rate.LRSchedule != "inverse-sqrt" || rate.LRRef != 40 || rate.Decay != 0 {
		t.Errorf("%s has lr_ref %d, decay %v", rate.LRSchedule, rate.LRRef, rate.Decay)
	}
}

// TestFamily: kinds of Adam take each other's settings, which a preset may have set.
func TestFamily(t *testing.T) {
	for _, name := range []string{"adam", "radam", "muon", "lion"} {
		s := small()
		s.Optimizer, s.Beta2 = name, 0.123
		s = s.Switched(small(), nothing)
		want := 0.123
		if name == "lion" {
			want = 0.99
		}
		if s.Beta2 != want || (s.Momentum == 0.95) != (name == "muon") || s.Validate() != nil {
			t.Errorf("%s has beta2 %v, momentum %v: %v", name, s.Beta2, s.Momentum, s.Validate())
		}
	}
}

// TestDecayed: with matrices alone, biases, norms and nothing else have no decay; Muon
// takes the matrices but for the first layer, the last and the table of classes.
func TestDecayed(t *testing.T) {
	n, err := Network("micro", nets.Spec{Height: 16, Width: 16, Channels: 3, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	weights := nets.Params(n)
	r := undecayed(decayMatrices, weights)
	var left []string
	taken := map[int]bool{}
	for _, m := range muonMatrices(weights) {
		taken[m.Offset] = true
	}
	for _, p := range weights {
		_, inside := r.Next(p.Offset, p.End())
		if vector := strings.HasSuffix(p.Name, ".bias") || strings.Contains(p.Name, "norm"); inside != vector {
			t.Errorf("%s of shape %v is without decay: %t", p.Name, p.Stored, inside)
		}
		if !inside && !taken[p.Offset] {
			left = append(left, p.Name)
		}
	}
	if want := []string{"class_embedding.weight", "conv_in.weight", "conv_out.weight"}; !slices.Equal(left, want) {
		t.Errorf("Muon leaves %v to AdamW, want %v", left, want)
	}
	if undecayed(decayAll, weights) != nil {
		t.Error("all weights are to decay, and some do not")
	}
}

// TestOptimizersResume: a run of each that is stopped goes on to the bit.
func TestOptimizersResume(t *testing.T) {
	for _, o := range optimizers {
		s := small()
		s.Data, s.Preset, s.Size = "toy:moons", "mlp", data.Size{}
		s.Images, s.Batch, s.Accumulate, s.CheckpointEvery, s.SampleCount, s.WeightDecay, s.WeightDecayOf = 64, 16, 2, 32, 0, 0.01, decayMatrices
		s.Optimizer = o.name
		s = s.Switched(small(), nothing)
		whole, cut := t.TempDir(), t.TempDir()
		w, _ := options(t, s, whole)
		if _, err := Run(t.Context(), w); err != nil {
			t.Fatal(o.name, err)
		}
		c, rec := options(t, s, cut)
		ctx, cancel := context.WithCancel(t.Context())
		rec.onSave = cancel
		if _, err := Run(ctx, c); !errors.Is(err, context.Canceled) {
			t.Fatal(o.name, err)
		}
		rec.onSave = nil
		if _, err := Run(t.Context(), c); err != nil {
			t.Fatal(o.name, err)
		}
		same(t, files(t, cut), files(t, whole))
	}
}

// TestSGDResumes: a run of SGD that is stopped goes on to the bit; its checkpoint names
// the velocity; it does not go on as a run of AdamW.
func TestSGDResumes(t *testing.T) {
	s := withSGD()
	s.Images, s.CheckpointEvery = 32, 16
	whole, cut := t.TempDir(), t.TempDir()
	o, _ := options(t, s, whole)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := files(t, whole)

	o, rec := options(t, s, cut)
	ctx, cancel := context.WithCancel(t.Context())
	rec.onSave = cancel
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	other := small()
	other.Images, other.SampleCount = s.Images, 0
	o.Settings = other
	var changed *ChangedError
	if _, err := Run(t.Context(), o); !errors.As(err, &changed) || !strings.Contains(err.Error(), "optimizer was sgd, now adamw") {
		t.Errorf("another optimizer: %v", err)
	}
	o.Settings, rec.onSave = s, nil
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	same(t, files(t, cut), want)

	newest, err := model.Newest(whole)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(newest, model.TrainingDir, model.OptimizerFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if i := slices.IndexFunc(f.Tensors, func(t safetensors.Tensor) bool { return !strings.HasPrefix(t.Name, "momentum.") }); i >= 0 {
		t.Errorf("the optimizer of SGD has %s", f.Tensors[i].Name)
	}
}
