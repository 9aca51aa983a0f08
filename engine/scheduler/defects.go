package scheduler

// Compat says which of diffusers' departures from theory are repeated.
type Compat int

const (
	// Right is the zero value: defects are left out, and conventions are as in
	// diffusers, for a config's user knows their pictures.
	Right Compat = iota
	// Diffusers repeats everything.
	Diffusers
	// Theory leaves everything out.
	Theory
)

// Compats are the values by their names on the command line.
var Compats = map[string]Compat{"": Right, "diffusers": Diffusers, "none": Theory}

// Departure is something that diffusers does and that departs from theory.
//
// It is a defect where the run is not what the config says: other steps than
// the grid's, another beginning or end, noise left in, wrong marginals, no
// number. It is a convention where diffusers does what the config says, in a
// way that others would do better: the sample is close, and closer with more steps.
type Departure struct {
	Name       string
	Convention bool
	Theirs     string
	Ours       string
	Why        string // it is the one and not the other
}

var (
	previousStep = Departure{"previous-step", false, "steps to t − N/steps, which linspace, and trailing where steps do not divide N, do not have",
		"steps to the next entry of the grid", "the state is taken for one of another noise level"}
	lonelyTime = Departure{"single-step", false, "starts a run of one step at the end of the grid that is almost data",
		"starts at noise", "what comes out is the noise it began with"}
	extraTime = Departure{"extra-time", false, "makes a step too many, at time −1, for some trailing grids whose steps do not divide N",
		"makes as many as asked for", "the network is asked at a time it does not have"}
	finalNoise = Departure{"final-noise", false, "adds √β to the result where the last time is not 0",
		"ends without noise", "the sample is left with noise in it"}
	logVariance = Departure{"log-variance", false, "takes the root of a logarithm for fixed_large_log: NaN",
		"takes fixed_large", "there is no sample"}
	foreignEnd = Departure{"foreign-end", false, "ends the flow path at the β schedule's σ/α",
		"ends at σ = 1/N", "it is the noise level of another process"}
	droppedTimes = Departure{"dropped-times", false, "drops repeated times and leaves as many noise levels out at the end",
		"makes every step", "the run ends before its grid does"}
	logLinear = Departure{"log-linear", false, "makes a noise level too many, tells the network times that do not belong, and does not end at 0",
		"makes one for each call, with its time", "the network is told wrong times, and noise is left"}
	shiftedTwice = Departure{"shifted-twice", false, "shifts the end of the flow grid, and then the whole grid again",
		"shifts once", "the last call is far from the data, and further the larger the shift"}
	lateChurn = Departure{"late-churn", false, "calls the network first and raises the noise of the state after",
		"raises the noise and calls the network with it", "the marginals are wrong"}
	callsBefore = Departure{"calls-before", false, "gives the first calls of a multistep run that begins later the weights of one that began with noise, without the calls before",
		"begins with first order", "the weights do not sum to the step, and the state is taken for one of another noise level"}

	cutTime = Departure{"cut-times", true, "cuts the time that the network is told off at an integer",
		"rounds it, or on the flow path tells it whole", "networks are trained at integers; it is off by less than one step of N"}
	clippedEps = Departure{"clipped-epsilon", true, "clips x̂ and keeps the ε̂ of before",
		"takes the ε̂ that agrees with the clipped x̂", "it is an argument of diffusers' step, use_clipped_model_output, at its default"}
	thirdOrder = Departure{"third-order", true, "gives the second difference of multistep DPM-Solver half its weight, and that of SDEs a wrong sign: the observed order is two",
		"gives it the weight of the exact expansion: the observed order is three", "the authors' own code has the half; it converges, in second order"}
	combinedV = Departure{"combined-v", true, "combines v of several times and converts the sum at one",
		"converts each at its own time", "it converges, in first order"}
	halfStep = Departure{"half-step", true, "takes half of N/steps as the middle of the step, and the network is told another time",
		"takes the time that the network is told", "it is off by half a step of N"}
	loudStart = Departure{"loud-start", true, "multiplies the first noise by the deviation of noisy data of deviation 1, where leading and EDM begin, and by 1 on the flow path",
		"multiplies it by σ", "the mean of the data, which the first state lacks either way, matters as much; it fades with σ"}
)

// Departures returns all of them, defects first.
func Departures() []Departure {
	return []Departure{previousStep, lonelyTime, extraTime, finalNoise, logVariance, foreignEnd, droppedTimes, logLinear, shiftedTwice, lateChurn, callsBefore,
		cutTime, clippedEps, thirdOrder, combinedV, halfStep, loudStart}
}
