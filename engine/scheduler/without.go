package scheduler

import "fmt"

// without are classes of diffusers that are known and not here, and why: no other class has
// their steps, so none is advised.
var without = map[string]string{
	"ScoreSdeVeScheduler": "its network, as google/ncsnpp-*, is told σ itself and gives the score, and its corrector takes steps whose length follows from norms of what that gives",
	"ScoreSdeVpScheduler": "its network is told continuous times and gives the score, whose reverse SDE it follows",
	"KarrasVeScheduler":   "its network is told σ itself, and diffusers has no pipeline for it any more",
}

// checkClass refuses those by name.
func checkClass(name string) error {
	if why, known := without[name]; known {
		return fmt.Errorf("_class_name %s: there is no sampler for it here: %s; want a model of another class, such as DDIMScheduler or EDMEulerScheduler", name, why)
	}
	return nil
}
