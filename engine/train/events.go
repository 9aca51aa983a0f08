package train

import (
	"fluxion/engine/model"
	"fluxion/engine/record"
)

// Observer is told what a run does. Its methods are called from the loop, one
// at a time; nothing below the command line prints. A run has a status after its
// first step, after its last, and about every second between.
type Observer interface {
	Start(Start)
	Status(record.Status)
	Checkpoint(path string, images int64)
	Samples(path string, images int64)
	Evaluation(record.Evaluation)
	Stuck(Stuck)
	Note(text string) // something the user should know
	Err() error       // why what was told does not reach the user any more, or nil
}

// Start describes a run before its first step.
type Start struct {
	Run      string // folder
	Settings Settings
	Changes  []Change // settings that differ from the run that goes on here
	Recipe   Recipe   // of the preset
	Apart    []Change // settings that differ from the recipe

	Dataset       string
	DatasetImages int // in a pass
	Height, Width int
	Channels      int
	Floats        bool     // the data are float32, taken as they are
	Classes       []string // nil: unlabelled, or told numbers
	Numbers       string   // that the network is told of each image instead; "": none
	Resident      bool     // it lies on the device as a whole
	Notes         []string // of how the data set was read

	Parameters   int
	Tensors      int
	Device       string
	PlannedBytes int64
	BesideBytes  int64 // that hooks take beside these
	KeptBytes    int64 // that would be planned without recomputation
	StepFLOPs    int64
	Snapshots    Snapshots   // of averages by a power of time
	AgainFLOPs   int64       // of them, those of recomputation
	Images       int64       // seen already
	From         string      // the checkpoint it goes on from
	About        [][2]string // of the objective and of hooks, line by line, each under a name
	Baseline     float64     // the loss of a network without knowledge, see process.BaselineLoss; 0: no contrast
	Variance     float64     // of the pixels, that it is for
}

// Result is what a run came to.
type Result struct {
	Run        string
	Images     int64
	Steps      int64
	Loss       float64
	Seconds    float64     // of the whole run
	Checkpoint string      // the newest; "": none
	Best       *model.Best // checkpoint, where a hook keeps it; nil: none
	AlreadyRun bool        // it was finished before
	Floats     bool        // its samples are no pictures
	Inputs     string      // the data that samples are made of; "": they are made of noise alone
	Fit        string      // how these are brought to the size of the model, where that is not by cropping
	Unlearned  string      // that the run was too short, where it was; else ""
}
