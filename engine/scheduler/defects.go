package scheduler

// Compat says which of diffusers' departures from theory are repeated.
type Compat int

const (
	// Documented is the zero value: the documented defects are left out, and the
	// rest is as in diffusers, whose pictures people know.
	Documented Compat = iota
	// Diffusers repeats everything.
	Diffusers
	// Theory leaves everything out.
	Theory
)

// Compats are the values by their names on the command line.
var Compats = map[string]Compat{"": Documented, "diffusers": Diffusers, "none": Theory}

// Defect is something that diffusers does and that departs from theory.
type Defect struct {
	Name       string
	Documented bool // by threads of its users, and left out by default
	Theirs     string
	Ours       string
}

var (
	previousStep = Defect{"previous-step", true, "steps to t − N/steps, which linspace, and trailing where steps do not divide N, do not have", "steps to the next entry of the grid"}
	lonelyTime   = Defect{"single-step", false, "starts a run of one step at the end of the grid that is almost data", "starts at noise"}
	cutTime      = Defect{"cut-times", false, "cuts the time that the network is told off at an integer", "rounds it, or on the flow path tells it whole"}
	extraTime    = Defect{"extra-time", true, "makes a step too many, at time −1, for some trailing grids whose steps do not divide N", "makes as many as asked for"}
	finalNoise   = Defect{"final-noise", false, "adds √β to the result where the last time is not 0", "ends without noise"}
	logVariance  = Defect{"log-variance", true, "takes the root of a logarithm for fixed_large_log: NaN", "takes fixed_large"}
	clippedEps   = Defect{"clipped-epsilon", false, "clips x̂ and keeps the ε̂ of before", "takes the ε̂ that agrees with the clipped x̂"}
	foreignEnd   = Defect{"foreign-end", false, "ends the flow path at the β schedule's σ/α", "ends at σ = 1/N"}
	droppedTimes = Defect{"dropped-times", false, "drops repeated times and leaves as many noise levels out at the end", "makes every step"}
	logLinear    = Defect{"log-linear", false, "makes a noise level too many, tells the network times that do not belong, and does not end at 0", "makes one for each call, with its time"}
	shiftedTwice = Defect{"shifted-twice", true, "shifts the end of the flow grid, and then the whole grid again", "shifts once"}
	lateChurn    = Defect{"late-churn", true, "calls the network first and raises the noise of the state after", "raises the noise and calls the network with it"}
	thirdOrder   = Defect{"third-order", false, "gives the second difference of multistep DPM-Solver half its weight, and that of SDEs a wrong sign: the observed order is two", "gives it the weight of the exact expansion: the observed order is three"}
	combinedV    = Defect{"combined-v", false, "combines v of several times and converts the sum at one", "converts each at its own time"}
	halfStep     = Defect{"half-step", false, "takes half of N/steps as the middle of the step, and the network is told another time", "takes the time that the network is told"}
)

// Defects returns all of them.
func Defects() []Defect {
	return []Defect{previousStep, lonelyTime, extraTime, cutTime, finalNoise, logVariance, clippedEps, foreignEnd, droppedTimes, logLinear,
		shiftedTwice, lateChurn, thirdOrder, combinedV, halfStep}
}
