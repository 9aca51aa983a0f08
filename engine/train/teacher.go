package train

import (
	"encoding/json"
	"fmt"
	"slices"

	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/engine/process"
)

// teaching are the settings of a model that a run learns from.
func (s *Settings) teaching() setting.List {
	return setting.List{
		{
			Key: "teacher", Value: setting.Of(&s.Teacher), Breaks: setting.Always, Since: "2026-11-29",
			Help: "folder of a model whose averaged weights an objective such as progressive learns from; the run begins with them if neither init nor preset is given",
		},
		{
			Key: "teacher_guidance", Value: setting.Of(&s.TeacherGuidance), Breaks: setting.Always, Since: "2026-11-29", Before: "1",
			Help: "guidance scale of the teacher, which becomes part of the student; 1: none", Range: setting.NotNegative(""),
		},
	}
}

// readTeacher reads the model that a run learns from; nil if its settings name none.
// Data may be nil.
func readTeacher(s Settings, d data.Dataset) (*objective.Teacher, error) {
	if s.Teacher == "" {
		if s.TeacherGuidance != 1 {
			return nil, &SettingError{"teacher_guidance", fmt.Sprintf("%g is for a teacher, and there is none", s.TeacherGuidance)}
		}
		return nil, nil
	}
	m, err := model.Read(s.Teacher, model.EMA)
	if err != nil {
		return nil, &PresetError{"teacher", s.Teacher, err}
	}
	bad := func(format string, args ...any) (*objective.Teacher, error) {
		return nil, &SettingError{"teacher", s.Teacher + " " + fmt.Sprintf(format, args...)}
	}
	spec := m.Network.Spec()
	switch {
	case m.Process.Source.String() != s.Source:
		return bad("begins with source %v, and the run with %s; want --source %v", m.Process.Source, s.Source, m.Process.Source)
	case !m.Process.Bridge.None() || s.Bridge != process.NoBridge:
		return bad("teaches no run with a bridge, nor one with a bridge any other; want bridge none of both")
	case m.Few != nil:
		return bad("was itself trained for few steps (%v): it does not say where the flow goes; want the model that taught it", m.Few)
	case spec.Estimate:
		return bad("is given its own estimate (self-conditioning), which a step of its own has none of; want a model without")
	case spec.Classes == 0 && spec.Conditional():
		return bad("is told %s, which the data do not have", spec.Condition)
	case s.TeacherGuidance != 1 && !m.Guided:
		return bad("knows no class that stands for none (label_drop), so there is nothing to guide away from; want teacher_guidance 1")
	case s.TeacherGuidance != 1 && m.Untrained:
		return bad("was trained with label_drop 0, so it does not know what to guide away from; want teacher_guidance 1")
	}
	if d != nil {
		h, w, c := d.Shape()
		if err := spec.CheckSize("the teacher", h, w); err != nil {
			return nil, &SettingError{"teacher", err.Error() + "; give data and size as the teacher had them"}
		}
		switch given := s.GivenChannels(d); {
		case spec.Concat != 0 && spec.Concat != given:
			return bad("is given a second image of %s, and the data have inputs of %d; want data paired:A,B as the teacher had them", channelsText(spec.Concat), given)
		case c != spec.Channels:
			return bad("is for images of %d channels, and the data have %d; give data and channels as the teacher had them", spec.Channels, c)
		case spec.Classes > 0 && m.Classes != nil && !slices.Equal(m.Classes, d.Classes()):
			return bad("knows the classes %s, and the data have %s", listed(m.Classes, d.Classes()), listed(d.Classes(), m.Classes))
		case spec.Classes > 0 && spec.Classes != len(d.Classes())+1:
			return bad("has a table of %d classes, and the data's %d and one for none make %d", spec.Classes, len(d.Classes()), len(d.Classes())+1)
		}
	}
	return &objective.Teacher{
		Frozen:  &objective.Frozen{Name: "teacher", Network: m.Network, Dir: m.Path, Weights: m.Weights},
		Process: m.Process, Guidance: s.TeacherGuidance, NoClass: spec.Classes - 1, Digest: m.Digest(),
	}, nil
}

// teacherOf is the teacher that an objective learns from; nil: none.
func teacherOf(o objective.Objective) *objective.Teacher {
	if t, ok := o.(interface{ Taught() *objective.Teacher }); ok {
		return t.Taught()
	}
	return nil
}

// teacherFile is where a checkpoint keeps which teacher its run has.
const teacherFile = "teacher.json"

// teacherHook refuses to go on with another teacher, as a run that has gone on itself is.
func (r *run) teacherHook() Hook {
	h := Hook{Name: "teacher"}
	if r.teacher == nil {
		return h
	}
	type kept struct {
		Digest string `json:"digest"`
		Path   string `json:"path"`
	}
	now := kept{r.teacher.Digest, r.teacher.Frozen.Dir}
	h.Keep = &Keep{
		File:  teacherFile,
		Store: func() ([]byte, error) { return json.MarshalIndent(now, "", "  ") },
		Load: func(text []byte) (func() error, error) {
			var was kept
			if err := json.Unmarshal(text, &was); err != nil {
				return nil, err
			}
			if was.Digest != now.Digest {
				return nil, fmt.Errorf("the run learns from another teacher than %s is now: that was %s; give --teacher the checkpoint that it was", now.Path, was.Path)
			}
			return func() error { return nil }, nil
		},
	}
	return h
}
