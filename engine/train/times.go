package train

import (
	"fmt"

	"fluxion/engine/process"
)

// quickTime is the largest range of times that a network of nets.Spec.UnitTime is told in a new run.
const quickTime = 16

// WithTimes says what the network of a new run is told at t = 1, where nobody says it: 1, if the
// network of the preset is made for times of about that. Output edm tells it ln(σ)/4, anyway.
func (s Settings) WithTimes(said func(key string) bool, ignore ...string) Settings {
	if base, told := s.toldTimes(ignore); told && !process.InSteps(base) && !said("time_scale") {
		s.TimeScale = 1
	}
	return s
}

// CheckTimes refuses a new run whose network can make nothing of the times that it is told: its
// cosines turn so fast that those of neighbours have nothing in common. A model that a run
// begins with may have learnt such.
func CheckTimes(s Settings, ignore ...string) error {
	base, told := s.toldTimes(ignore)
	switch {
	case !told || s.Init != "":
		return nil
	case process.InSteps(base):
		return &SettingError{"schedule", fmt.Sprintf("%s tells the network of preset %s the number of a step, and it is made for times of about 1; want --output-kind edm, or a schedule that is no list of steps, such as fm", base.Name(), s.Preset)}
	case s.TimeScale > quickTime:
		return &SettingError{"time_scale", fmt.Sprintf("%d is more than the network of preset %s can tell apart, which is made for times of about 1; want 1 (at most %d), or --output-kind edm", s.TimeScale, s.Preset, quickTime)}
	}
	return nil
}

// toldTimes says whether a network that is made for times of about 1 is told those of a schedule.
// What is wrong with either, who builds them tells.
func (s Settings) toldTimes(ignore []string) (base process.Schedule, told bool) {
	n, err := presetNetwork(s.Preset, ignore)
	if err != nil || !n.Spec().UnitTime {
		return nil, false
	}
	o, err := process.GetOutput(s.Output)
	if err != nil || o.NetworkTime != nil {
		return nil, false
	}
	schedule, err := process.GetSchedule(s.Schedule, process.ScheduleOptions{})
	if err != nil {
		return nil, false
	}
	return schedule, true
}
