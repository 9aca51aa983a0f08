package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fluxion/nets"
	"fluxion/nets/safetensors"
)

// What a folder that Write made says of itself to people.
const (
	CardFile = "README.md"
	GridFile = "samples.png"
)

// samplesDir of a run folder holds grids, named by the images seen.
const samplesDir = "samples"

// grid is a picture of samples of the model: the last that its run drew up to the
// checkpoint, or what an earlier conversion kept; nil where there is none.
func (m *Model) grid() ([]byte, error) {
	path := filepath.Join(m.Root, GridFile)
	if isFile(m.Root) {
		return nil, nil
	}
	if run, images := runOf(m.Root); run != "" {
		path = filepath.Join(run, samplesDir, lastGrid(filepath.Join(run, samplesDir), images))
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || filepath.Ext(path) != ".png" {
		return nil, nil
	}
	return data, err
}

// lastGrid is the name of the last grid of a folder up to so many images.
func lastGrid(dir string, images int64) (last string) {
	entries, _ := os.ReadDir(dir) // sorted by name, whose numbers have as many digits
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".png")
		if n, number := Number(strings.TrimLeft(name, "0")); ok && number && n <= images {
			last = e.Name()
		}
	}
	return last
}

// card tells what the model is, how diffusers and Fluxion call it, and how it was trained.
func (m *Model) card(p Pipeline, name string, as safetensors.Dtype, grid bool, settings []byte) []byte {
	var b strings.Builder
	s := m.Network.Spec()
	kind := "unconditional"
	if p.Classes > 0 {
		kind = "class-conditional"
	}
	if m.Labels != nil {
		kind = "conditional"
	}
	fmt.Fprintf(&b, "---\nlibrary_name: diffusers\npipeline_tag: unconditional-image-generation\ntags:\n- fluxion\n- %s\n---\n\n# %s\n\n", kind, name)
	if grid {
		fmt.Fprintf(&b, "![samples](%s)\n\nSamples of the run's averaged weights.\n\n", GridFile)
	}
	params := nets.Count(nets.Params(m.Network))
	images := fmt.Sprintf("images of %d×%d pixels and %d channels", s.Width, s.Height, s.Channels)
	if p.Autoencoder {
		images = fmt.Sprintf("latents of %d×%d and %d channels, of which the autoencoder in %s/ makes images", s.Width, s.Height, s.Channels, AutoencoderDir)
	}
	fmt.Fprintf(&b, "A %s %s of %d weights (%s, %s of the run) for %s, trained by\nFluxion for %v (process/output); its scheduler is %s.\n",
		kind, m.Network.ClassName(), params, as, m.weights, images, m.Process, m.method)
	if len(m.Classes) > 0 {
		fmt.Fprintf(&b, "\nClasses, from 0: %s.\n", enumerated(m.Classes))
	}
	if l := m.Labels; l != nil {
		fmt.Fprintf(&b, "\nIt is told numbers of each image: %s.\n", l)
	}
	b.WriteString("\n## Use\n\n")
	m.use(&b, p)
	if settings != nil {
		fmt.Fprintf(&b, "\n## Training\n\nThe settings of the run:\n\n```json\n%s\n```\n", strings.TrimSpace(string(settings)))
	}
	return []byte(b.String())
}

// use writes how the model is called.
func (m *Model) use(b *strings.Builder, p Pipeline) {
	if p.Without != "" {
		fmt.Fprintf(b, "Fluxion samples it: %s.\n\n", p.Without)
	} else {
		more, steps := "", ""
		if p.Code {
			fmt.Fprintf(b, "No pipeline of diffusers calls this network; `%s` in this folder does, and diffusers runs it on request:\n\n", PipelineFile)
			more = ", trust_remote_code=True"
		}
		if p.Class == scaledPipeline || p.Code && p.Steps != fewSteps {
			steps = fmt.Sprintf("num_inference_steps=%d", p.Steps)
		}
		fmt.Fprintf(b, "```python\nfrom diffusers import DiffusionPipeline\n\npipeline = DiffusionPipeline.from_pretrained(\".\"%s)  # this folder\npipeline(%s).images[0].save(\"image.png\")\n```\n\n", more, steps)
		if p.Code && p.Classes > 0 {
			b.WriteString("`class_labels=[3, 7], batch_size=2` says which classes; without it they are drawn.\n\n")
		}
		if p.Labels != "" {
			fmt.Fprintf(b, "The network in `unet/` makes images of any %s. The one in `%s/` is told which, and guided by the other:\n\n```python\n%s```\n\n", m.labelled(), p.Labels, m.labelsLoop(p))
		}
	}
	b.WriteString("```\nfluxion sample --model . --out samples --count 64\n```\n")
}

// labelled is what images differ in that the network is told.
func (m *Model) labelled() string {
	if m.Labels != nil {
		return "label"
	}
	return "class"
}

// pythonLabels is Python that makes class_labels of two images: two classes, or the least and
// the largest of the numbers that the network is told, as Labels.Tell has it.
func (m *Model) pythonLabels(p Pipeline) string {
	l, s := m.Labels, m.Network.Spec()
	if l == nil {
		return fmt.Sprintf("labels = torch.tensor([0, %d])", min(1, p.Classes-1))
	}
	list := func(values []float32) string {
		text := strings.Join(strings.Fields(fmt.Sprint(values)), ", ")
		return "torch.tensor(" + text + ")"
	}
	lines := fmt.Sprintf("low, high = %s, %s\nlabels = torch.stack([low, high])  # one row an image: %s\nlabels = (labels - low) / torch.where(high > low, high - low, 1.0)\n", list(l.From), list(l.To), strings.Join(l.Names[:min(len(l.Names), mostListed)], ", "))
	if s.Condition == nets.Timestep {
		return lines + fmt.Sprintf("labels = %d * labels[:, 0]", timestepScale)
	}
	return lines + fmt.Sprintf("labels = labels.repeat(1, %d)[:, :%d]  # numbers are repeated until they fill the vector", (s.Embedding+len(l.Names)-1)/len(l.Names), s.Embedding)
}

// labelsLoop is Python that draws one image of each of two labels, with guidance.
func (m *Model) labelsLoop(p Pipeline) string {
	return fmt.Sprintf(`import torch
from diffusers import DiffusionPipeline, UNet2DModel

pipeline = DiffusionPipeline.from_pretrained(".")
unet, scheduler = pipeline.unet, pipeline.scheduler
told = UNet2DModel.from_pretrained(".", subfolder="%s")
%s
guidance = 2.0
scheduler.set_timesteps(%d)
side = unet.config.sample_size
x = torch.randn(len(labels), unet.config.in_channels, side, side) * getattr(scheduler, "init_noise_sigma", 1.0)
scale = getattr(scheduler, "scale_model_input", lambda x, t: x)
with torch.no_grad():
    for t in scheduler.timesteps:
        z = scale(x, t)
        any, one = unet(z, t).sample, told(z, t, class_labels=labels).sample
        x = scheduler.step(any + guidance * (one - any), t, x).prev_sample
pixels = ((x / 2 + 0.5).clamp(0, 1) * 255).round().byte()
`, p.Labels, m.pythonLabels(p), fewSteps)
}

// enumerated lists names, the first of many.
func enumerated(names []string) string {
	const most = 100
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(", and %d more", len(names)-most)
}
