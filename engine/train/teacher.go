package train

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/engine/process"
	"fluxion/nets"
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
		{
			Key: "teacher_guidance_interval", Value: setting.Of(&s.TeacherInterval), Breaks: setting.Always, Since: "2026-11-30",
			Help: "LO,HI: noise levels σ/α between which the teacher is guided; the default is all",
		},
		{
			Key: "teacher_guide", Value: setting.Of(&s.TeacherGuide), Breaks: setting.Always, Since: "2026-11-30",
			Help: "autoguidance: folder of a weaker model away from which the teacher is guided, such as an earlier checkpoint of its run",
		},
		{
			Key: "guidance_input", Value: setting.Of(&s.GuidanceInput), Breaks: setting.Always, Since: "2026-11-30",
			Help: "LO,HI: the student is told its guidance, drawn between these in training, as the teacher is guided there; sample --guidance chooses, in one pass a step",
		},
	}
}

// toldAsTeacher has a student that becomes the teacher of the next stage told its guidance
// as its teacher is, where nobody says anything of it.
func (s Settings) toldAsTeacher(kind objective.Named) Settings {
	if !kind.InStages() || s.Teacher == "" || s.GuidanceInput != "" || s.TeacherGuidance != 1 {
		return s
	}
	if n, _, err := model.ReadNetwork(s.Teacher); err == nil && n.Spec().Told() { // who needs it next says what is wrong
		s.GuidanceInput = fmt.Sprintf("%g,%g", n.Spec().Guidance[0], n.Spec().Guidance[1])
	}
	return s
}

// scales is from where to where the network is told its guidance.
func (s Settings) scales() (scales [2]float64, err error) {
	if s.GuidanceInput == "" {
		return scales, nil
	}
	bad := func(problem string) ([2]float64, error) {
		return scales, &SettingError{"guidance_input", s.GuidanceInput + " " + problem}
	}
	i, err := process.ParseInterval(s.GuidanceInput)
	switch {
	case err != nil || i[1] > nets.MostGuidance:
		return bad(fmt.Sprintf("is out of range, want LO,HI from 0 to %d, as in 1,4", nets.MostGuidance))
	case s.Teacher == "":
		return bad("is for the student of a guided teacher; want --teacher MODEL, and an objective such as guidance")
	case s.TeacherGuidance != 1:
		return bad(fmt.Sprintf("draws the teacher's guidance, and teacher_guidance sets it to %g; want one of the two", s.TeacherGuidance))
	}
	return i, nil
}

// readTeacher reads the model that a run learns from; nil if its settings name none.
// Data may be nil.
func readTeacher(s Settings, d data.Dataset) (*objective.Teacher, error) {
	scales, err := s.scales()
	if err != nil {
		return nil, err
	}
	if s.Teacher == "" {
		if s.TeacherGuidance != 1 {
			return nil, &SettingError{"teacher_guidance", fmt.Sprintf("%g is for a teacher, and there is none", s.TeacherGuidance)}
		}
		return nil, s.unguided()
	}
	guided := s.TeacherGuidance != 1 || scales != [2]float64{}
	if !guided {
		if err := s.unguided(); err != nil {
			return nil, err
		}
	}
	interval, err := process.ParseInterval(s.TeacherInterval)
	if err != nil {
		return nil, &SettingError{"teacher_guidance_interval", fmt.Sprintf("%s: %v", s.TeacherInterval, err)}
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
	case spec.Told() && s.TeacherGuide != "":
		return bad("is told its guidance, and needs no other model for it; want no teacher_guide")
	case spec.Told() && scales != [2]float64{} && !(spec.Guidance[0] <= scales[0] && scales[1] <= spec.Guidance[1]):
		return bad("is told a guidance from %g to %g; want a guidance_input within", spec.Guidance[0], spec.Guidance[1])
	case spec.Told() && scales == [2]float64{} && !(spec.Guidance[0] <= s.TeacherGuidance && s.TeacherGuidance <= spec.Guidance[1]):
		return bad("is told a guidance from %g to %g; want a teacher_guidance within", spec.Guidance[0], spec.Guidance[1])
	case spec.Told() && interval != process.Interval{} && spec.Guidance[0] > 1:
		return bad("is told a guidance of %g or more, and none cannot be had outside of an interval; want no teacher_guidance_interval", spec.Guidance[0])
	case guided && m.Baked != 0:
		return bad("took over a guidance of %g from its own teacher, and would be guided twice; want teacher_guidance 1, or its teacher", m.Baked)
	case spec.Told() || s.TeacherGuide != "":
	case guided && !m.Guided:
		return bad("knows no class that stands for none (label_drop), so there is nothing to guide away from; want teacher_guidance 1, or a weaker model as teacher_guide")
	case guided && m.Untrained:
		return bad("was trained with label_drop 0, so it does not know what to guide away from; want teacher_guidance 1")
	}
	if d != nil {
		if err := checkAutoencoder("teacher", s.Teacher, m, d); err != nil {
			return nil, err
		}
		h, w, c := d.Shape()
		if err := spec.CheckSize("the teacher", h, w); err != nil {
			return nil, &SettingError{"teacher", err.Error() + "; give data and size as the teacher had them"}
		}
		switch given := s.GivenChannels(d); {
		case spec.Concat != 0 && spec.Concat != given:
			return bad("is given a second image of %s, and the data have inputs of %d; want data paired:A,B as the teacher had them", channelsText(spec.Concat), given)
		case spec.Condition != labelled(d):
			return bad("is told %s, and the data have %s; give labels as the teacher had them", toldText(m.Labels), numbersText(data.NumbersOf(d)))
		case m.Labels != nil && !slices.Equal(m.Labels.Names, data.NumbersOf(d).Names):
			return bad("is told %s of each image, and the data have %s; give labels as the teacher had them", strings.Join(m.Labels.Names, ", "), strings.Join(data.NumbersOf(d).Names, ", "))
		case c != spec.Channels:
			return bad("is for images of %d channels, and the data have %d; give data and channels as the teacher had them", spec.Channels, c)
		case spec.Classes > 0 && m.Classes != nil && !slices.Equal(m.Classes, d.Classes()):
			return bad("knows the classes %s, and the data, %s, have %s; give data and labels as the teacher had them", listed(m.Classes, d.Classes()), s.Data, listed(d.Classes(), m.Classes))
		case spec.Classes > 0 && spec.Classes != len(d.Classes())+1:
			return bad("has a table of %d classes, and those of the data, %s, and one for none make %d; give data and labels as the teacher had them", spec.Classes, s.Data, len(d.Classes())+1)
		}
	}
	t := &objective.Teacher{
		Frozen:  &objective.Frozen{Name: teacherName, Network: m.Network, Dir: m.Path, Weights: m.Weights},
		Process: m.Process, Guidance: s.TeacherGuidance, Interval: interval, Baked: m.Baked, None: m.Untold(), Digest: m.Digest(), Latents: m.Autoencoder != "",
	}
	if m.Labels != nil {
		t.From, t.To = m.Labels.From, m.Labels.To
	}
	if s.TeacherGuide == "" {
		return t, nil
	}
	guide, err := m.Guide(s.TeacherGuide, model.EMA)
	switch {
	case err != nil:
		return nil, &PresetError{"teacher_guide", s.TeacherGuide, err}
	case guide.Few != nil:
		return nil, &SettingError{"teacher_guide", fmt.Sprintf("%s was trained for few steps (%v): it does not say where the flow goes; want a weaker model that does", s.TeacherGuide, guide.Few)}
	case guide.Network.Spec().Estimate || guide.Network.Spec().Jump || guide.Network.Spec().Told():
		return nil, &SettingError{"teacher_guide", s.TeacherGuide + " is given its own estimate, a jump or its guidance, which the teacher is not; want a model without"}
	}
	t.Guide = &objective.Frozen{Name: "guide", Network: guide.Network, Dir: guide.Path, Weights: guide.Weights}
	t.Digest += " " + guide.Digest()
	return t, nil
}

// toldText and numbersText are what a model is told of an image, and what data have to tell.
func toldText(l *model.Labels) string {
	if l == nil {
		return "no numbers of an image"
	}
	return l.String()
}

func numbersText(n *data.Numbers) string {
	if n == nil {
		return "none"
	}
	return n.String()
}

// baked is the guidance that becomes part of the network: that of the teacher, or of the
// model that made the pairs it learns from; 0: none, or it is told how far.
func (r *run) baked() float64 {
	if t := r.teacher; t != nil && !r.network.Spec().Told() {
		if t.Guidance != 1 {
			return t.Guidance
		}
		return t.Baked
	}
	if g, err := strconv.ParseFloat(data.MadeWith(r.data, "guidance"), 64); err == nil && g != 1 {
		return g
	}
	return 0
}

// teacherName is that of the teacher's weights.
const teacherName = "teacher"

// unguided refuses what says how a teacher is guided, where none is.
func (s Settings) unguided() error {
	for _, x := range [][2]string{{"teacher_guidance_interval", s.TeacherInterval}, {"teacher_guide", s.TeacherGuide}} {
		if x[1] != "" {
			return &SettingError{x[0], x[1] + " is for a teacher that is guided; want --teacher MODEL and a --teacher-guidance other than 1, such as 2"}
		}
	}
	return nil
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
