package device

import "fluxion/engine/plan"

// CheckRoom compares what a plan and what lies beside it take of a device's own memory with what is free there: an error
// before anything is made says what would fit, which alternatives tells. Of the host's memory CheckMemory knows.
func CheckRoom(d Device, sizes plan.Sizes, beside int64, alternatives func(fits func(plan.Sizes) bool) []string) error {
	room, err := d.Room()
	if err != nil || room == 0 {
		return err
	}
	fits := func(s plan.Sizes) bool { return plan.Add(s.Bytes(), beside) <= room }
	if fits(sizes) {
		return nil
	}
	return &MemoryError{Planned: plan.Add(sizes.Bytes(), beside), Available: room, Device: d.Name(), Fits: alternatives(fits)}
}

// Largest is the largest number below most for which fits holds, which holds for all smaller ones, too; 0 if for none.
func Largest(most int, fits func(n int) bool) int {
	least := 0
	for most-least > 1 {
		if n := (least + most) / 2; fits(n) {
			least = n
		} else {
			most = n
		}
	}
	return least
}

// WouldFit is the end of a message about too little memory.
func WouldFit(settings []string) string {
	if len(settings) == 0 {
		return "nothing of it would fit"
	}
	text := "this would fit: " + settings[0]
	for _, s := range settings[1:] {
		text += ", or " + s
	}
	return text
}
