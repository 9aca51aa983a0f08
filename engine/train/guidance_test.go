package train

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/engine/model"
)

// readModel opens what a run came to.
func readModel(t *testing.T, dir string) *model.Model {
	t.Helper()
	m, err := model.Read(dir, model.EMA)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ran runs to the end.
func ran(t *testing.T, s Settings) (dir string, r *recorder) {
	t.Helper()
	dir = t.TempDir()
	o, r := options(t, s, dir)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	return dir, r
}

// TestGuidanceInput: a student that is told its guidance goes on to the bit, says so, and
// teaches others, who are told too or take over one scale.
func TestGuidanceInput(t *testing.T) {
	s := taught(t)
	s.Objective, s.GuidanceInput, s.CheckpointEvery, s.SampleEvery = "guidance", "1,4", 64, 0
	whole, _ := ran(t, s)
	cut := t.TempDir()
	o, _ := options(t, s, cut)
	ctx, stop := context.WithCancel(context.Background())
	o.Hooks = []Hook{{Name: "stops", Every: 64, After: func(context.Context, Progress) error { stop(); return nil }}}
	if _, err := Run(ctx, o); err == nil {
		t.Fatal("the run was not stopped")
	}
	o, _ = options(t, s, cut)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	same(t, files(t, cut), files(t, whole))
	if m := readModel(t, whole); m.Network.Spec().Guidance != [2]float64{1, 4} || m.Baked != 0 || m.Few != nil {
		t.Fatalf("it is told %v, took over %g, few steps %v", m.Network.Spec().Guidance, m.Baked, m.Few)
	}
	next := s
	next.Teacher, next.Init, next.CheckpointEvery = whole, whole, 0
	next.Objective, next.GuidanceInput = "progressive:from=4,to=1", "" // as the teacher is told
	dir, _ := ran(t, next)
	if m := readModel(t, dir); m.Network.Spec().Guidance != [2]float64{1, 4} || m.Baked != 0 || m.Few.Steps != 1 {
		t.Errorf("a progressive student is told %v, took over %g", m.Network.Spec().Guidance, m.Baked)
	}
	next.Objective, next.GuidanceInput, next.TeacherGuidance, next.Init = "consistency", "", 2, ""
	dir, _ = ran(t, next)
	if m := readModel(t, dir); m.Network.Spec().Told() || m.Baked != 2 {
		t.Errorf("a student of scale 2 is told %v, took over %g", m.Network.Spec().Guidance, m.Baked)
	}
	next.TeacherGuidance = 5
	refused(t, next, "guidance from 1 to 4")
	next.TeacherGuidance, next.GuidanceInput = 1, "1,5"
	refused(t, next, "guidance from 1 to 4")
	next.GuidanceInput, next.TeacherGuide = "1,3", whole
	refused(t, next, "needs no other model")
	next.GuidanceInput, next.TeacherGuide, next.Teacher, next.TeacherGuidance = "", "", dir, 2
	refused(t, next, "few steps")
}

// TestTaughtGuided: what guides a teacher becomes part of the student, once.
func TestTaughtGuided(t *testing.T) {
	s := taught(t)
	s.Objective, s.TeacherGuidance, s.TeacherInterval, s.TeacherGuide, s.SampleEvery = "guidance", 2, "0.3,5", filepath.Join(s.Teacher, "checkpoints", "256"), 0
	dir, _ := ran(t, s)
	if m := readModel(t, dir); m.Baked != 2 {
		t.Errorf("the student took over %g", m.Baked)
	}
	next := s
	next.Teacher, next.TeacherGuide = dir, ""
	refused(t, next, "guided twice")
	next.Objective, next.TeacherGuidance, next.TeacherInterval = "consistency", 1, ""
	again, _ := ran(t, next)
	if m := readModel(t, again); m.Baked != 2 {
		t.Errorf("the student of a guided student took over %g", m.Baked)
	}
	for want, change := range map[string]func(*Settings){
		"in 1,4":                func(s *Settings) { s.GuidanceInput = "4" },
		"one of the two":        func(s *Settings) { s.GuidanceInput = "1,4" },
		"LO below HI":           func(s *Settings) { s.TeacherInterval = "3,1" },
		"--teacher-guidance 3":  func(s *Settings) { s.TeacherGuidance, s.TeacherInterval, s.TeacherGuide = 1, "", "" },
		"for a teacher that is": func(s *Settings) { s.TeacherGuidance = 1 },
		"teacher_guide":         func(s *Settings) { s.TeacherGuide = other(t, "toy:grid") },
		"guidance_input":        func(s *Settings) { *s = points(); s.GuidanceInput = "1,4" },
		"target":                func(s *Settings) { s.Target = "self" },
	} {
		s := s
		change(&s)
		refused(t, s, want)
	}
}

// refused says that settings make no run.
func refused(t *testing.T, s Settings, want string) {
	t.Helper()
	o, _ := options(t, s, t.TempDir())
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q: %v", want, err)
	}
}

// TestGridGuidance: a grid is guided only where the network learns what to guide away from.
func TestGridGuidance(t *testing.T) {
	s := brief()
	s.SampleGuidance, s.LabelDrop = 2, 0
	o, _ := options(t, s, t.TempDir())
	var setting *SettingError
	if _, err := Run(t.Context(), o); !errors.As(err, &setting) || setting.Key != "sample_guidance" {
		t.Errorf("no image goes without its label: %v", err)
	}
}
