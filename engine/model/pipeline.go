package model

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"fluxion/nets"
	"fluxion/nets/pyjson"
)

// Pipelines of diffusers that call a network with a noisy image and a time.
const (
	plainPipeline  = "DDPMPipeline"
	ownPipeline    = "FluxionPipeline"          // in PipelineFile
	scaledPipeline = "ConsistencyModelPipeline" // whose noise and inputs the scheduler scales
)

// scales are the schedulers whose initial noise is not of deviation 1, which
// DDPMPipeline takes no notice of.
var scales = map[string]bool{
	"CMStochasticIterativeScheduler": true, "EDMEulerScheduler": true, "EDMDPMSolverMultistepScheduler": true,
	"EulerDiscreteScheduler": true, "EulerAncestralDiscreteScheduler": true, "HeunDiscreteScheduler": true,
	"KDPM2DiscreteScheduler": true, "KDPM2AncestralDiscreteScheduler": true, "LMSDiscreteScheduler": true,
}

// PipelineFile is our own code for diffusers, in folders of networks that none of its
// pipelines calls. diffusers runs it where from_pretrained is given trust_remote_code=True.
const PipelineFile = "pipeline.py"

//go:embed pipeline.py
var pipelineCode []byte

// diffusersNetwork is the class of the networks that diffusers has, too.
const diffusersNetwork = "UNet2DModel"

// Pipeline is how diffusers calls a model.
type Pipeline struct {
	Class       string `json:"class"`          // of diffusers, or our own in PipelineFile
	Steps       int    `json:"steps"`          // to call it with
	Code        bool   `json:"code"`           // Class is in PipelineFile
	Classes     int    `json:"classes"`        // that can be asked for
	Guided      bool   `json:"guided"`         // there are images without a label to be guided away from
	Labels      string `json:"labels"`         // folder of the network that is told labels, beside one that is told none; "": there is one network
	Autoencoder bool   `json:"vae,omitempty"`  // the model makes latents, which Code decodes
	Without     string `json:"lack,omitempty"` // why diffusers cannot call the model at all
}

// Pipeline says how diffusers calls the model, and which network its component unet is:
// the model's own, or, where it knows a class that stands for any, one that is told none.
func (m *Model) Pipeline() (Pipeline, nets.Network, []float32) {
	n, weights, spec := m.Network, m.Weights, m.Network.Spec()
	p := Pipeline{Class: plainPipeline, Steps: plainSteps, Classes: m.labels(), Guided: m.Guided && !m.Untrained, Autoencoder: m.Autoencoder != ""}
	if m.method != stochasticMethod {
		p.Steps = fewSteps
	}
	if scales[m.method] {
		p.Class = scaledPipeline
	}
	if m.Few != nil {
		p.Steps = m.Few.Steps
	}
	switch f, ok := m.Network.(nets.Teller); {
	case !ok || m.Network.ClassName() != diffusersNetwork:
		p.Without = "diffusers has no " + m.Network.ClassName()
		return p, n, weights
	case beyond(n) != "":
		p.Without = "diffusers' UNet2DModel has not " + beyond(n)
		return p, n, weights
	case spec.Concat > 0:
		p.Without = "no pipeline of diffusers gives a network a second image"
		return p, n, weights
	case !m.Process.Source.White():
		p.Without = fmt.Sprintf("pipelines of diffusers begin with white noise, and the model with %v", m.Process.Source)
		return p, n, weights
	case !m.Process.Bridge.None():
		p.Without = fmt.Sprintf("no pipeline of diffusers follows bridge %v", m.Process.Bridge)
		return p, n, weights
	case spec.Told():
		p.Without = "no network of diffusers is told its guidance"
		return p, n, weights
	case spec.Jump && spec.Conditional():
		p.Without = "diffusers has no network that is told a class, or numbers, and how far to lead"
		return p, n, weights
	case p.Guided && !spec.Estimate && !spec.Jump && (m.Autoencoder == "" || spec.Condition != ""): // our code is told classes
		if alone, folded, ok := f.Untold(m.Weights, m.Untold()); ok {
			n, weights, p.Labels = alone, folded, nets.LabelsDir
		}
	}
	if n.Spec().Condition != "" {
		p.Without = "no pipeline of diffusers tells a network numbers, and this one knows no image without (label_drop)"
		return p, n, weights
	}
	if s := n.Spec(); s.Conditional() || s.Estimate || s.Jump || p.Autoencoder {
		p.Class, p.Code = ownPipeline, true
		if p.Steps == plainSteps {
			p.Steps = fewSteps
		}
	}
	return p, n, weights
}

// beyond says what of a network diffusers' class of the same name has not; "": nothing.
func beyond(n nets.Network) string {
	if of, ok := n.(interface{ Beyond() string }); ok {
		return of.Beyond()
	}
	return ""
}

// stochasticMethod is the scheduler that adds noise in each step, and wants many.
const stochasticMethod = "DDPMScheduler"

// Steps that a pipeline is called with: DDPM's, as DDPMPipeline does by itself, and some
// for solvers of ODEs.
const (
	plainSteps = 1000
	fewSteps   = 50
)

// byItself says how many steps the pipeline does that is told no number.
func (p Pipeline) byItself() int {
	switch p.Class {
	case plainPipeline:
		return plainSteps
	case scaledPipeline:
		return 1
	}
	return fewSteps
}

// Call is the argument with which the pipeline does its steps; "" where it does them by itself.
func (p Pipeline) Call() string {
	if p.Steps == p.byItself() {
		return ""
	}
	return fmt.Sprintf("num_inference_steps=%d", p.Steps)
}

// Slow says how many steps the pipeline does without Call, where these are far more; 0: it does not.
func (p Pipeline) Slow() int {
	if p.Call() != "" && p.Class == plainPipeline {
		return plainSteps
	}
	return 0
}

// Untold is what the network is told of an image of no class, or without its numbers, where
// there is such.
func (m *Model) Untold() []float32 {
	s := m.Network.Spec()
	if m.Labels != nil {
		return m.Labels.Told(s, nil)
	}
	return []float32{float32(s.Classes - 1)}
}

// labels is how many classes the network can be asked for.
func (m *Model) labels() int {
	n := m.Network.Spec().Classes
	if m.Guided && n > 0 {
		n--
	}
	return n
}

// index is the model_index.json of such a pipeline.
func (p Pipeline) index(method, network string) []byte {
	values := p.components(method, network)
	if p.Code {
		values["_class_name"] = []any{"pipeline", p.Class}
		values["classes"], values["steps"], values["guided"] = int64(p.Classes), int64(p.Steps), p.Guided
	}
	return pyjson.Marshal(values)
}

// aboutLabels is labelsAbout: what PipelineFile must know of the labels of the network in
// nets.LabelsDir.
func (m *Model) aboutLabels(p Pipeline) ([]byte, error) {
	about := map[string]any{}
	if p.Steps != plainSteps && p.Steps != fewSteps {
		about["steps"] = p.Steps
	}
	if l, s := m.Labels, m.Network.Spec(); l == nil {
		about["classes"] = p.Classes
	} else {
		about["from"], about["to"] = l.From, l.To
		if s.Condition == nets.Timestep {
			about["scale"] = timestepScale
		} else {
			about["width"] = LabelWidth(s)
		}
	}
	text, err := json.MarshalIndent(about, "", "  ")
	return append(text, '\n'), err
}

// labelsAbout is the name of that file.
const labelsAbout = "labels.json"
