package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
		more := ""
		if p.Code {
			fmt.Fprintf(b, "No pipeline of diffusers calls this network; `%s` in this folder does, and diffusers runs it on request:\n\n", PipelineFile)
			more = ", trust_remote_code=True"
		}
		fmt.Fprintf(b, "```python\nfrom diffusers import DiffusionPipeline\n\npipeline = DiffusionPipeline.from_pretrained(\".\"%s)  # this folder\npipeline(%s).images[0].save(\"image.png\")\n```\n\n", more, p.Call())
		if p.Code && p.Classes > 0 {
			b.WriteString("`class_labels=[3, 7]` says which classes; without it they are drawn.")
			if p.Guided {
				b.WriteString(" `guidance_scale=2.0` leads to what is typical of them.")
			}
			b.WriteString("\n\n")
		}
		if p.Labels != "" {
			what, labels := m.labelled(p)
			fmt.Fprintf(b, "The network in `unet/` makes images of any %s. That in `%s/`, where only the weights are that differ, is told which; `%s` calls it, guided by the other:\n\n", what, p.Labels, PipelineFile)
			fmt.Fprintf(b, "```python\nfrom diffusers import DiffusionPipeline\n\npipeline = DiffusionPipeline.from_pretrained(\".\", custom_pipeline=\"pipeline\", trust_remote_code=True)\npipeline(class_labels=%s, guidance_scale=2.0).images[0].save(\"labelled.png\")\n```\n\n", labels)
			if l := m.Labels; l != nil && len(l.Names) > 1 {
				fmt.Fprintf(b, "A row of `class_labels` is %s.\n\n", strings.Join(l.Names[:min(len(l.Names), mostListed)], ", "))
			}
		}
	}
	b.WriteString("```\nfluxion sample --model . --out samples --count 64\n```\n")
}

// labelled is what images differ in that the network is told, and Python for labels of two images.
func (m *Model) labelled(p Pipeline) (what, labels string) {
	l := m.Labels
	if l == nil {
		return "class", fmt.Sprintf("[0, %d]", min(1, p.Classes-1))
	}
	row := func(values []float32) string {
		text := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(values), "[]")), ", ")
		if len(values) == 1 {
			return text
		}
		return "[" + text + "]"
	}
	return "label", "[" + row(l.From) + ", " + row(l.To) + "]"
}

// pathSettings are those whose values are paths, or specs with some, of the machine that trained.
var pathSettings = []string{"data", "init", "preset", "teacher", "teacher_guide", "labels", "eval_real", "eval_weights", "blockings"}

// pathSetting is one of them in a file of settings, which has no lists of lists.
var pathSetting = regexp.MustCompile(`"(?:` + strings.Join(pathSettings, "|") + `)"\s*:\s*("(?:[^"\\]|\\.)*")`)

// withoutPaths leaves the last part of each path in settings.
func withoutPaths(settings []byte) []byte {
	return pathSetting.ReplaceAllFunc(settings, func(of []byte) []byte {
		quoted := pathSetting.FindSubmatch(of)[1]
		var text string
		if json.Unmarshal(quoted, &text) != nil {
			return of
		}
		short, _ := json.Marshal(lastParts(text)) // a string always encodes
		return append(bytes.TrimSuffix(of, quoted), short...)
	})
}

// lastParts shortens every path of a spec, as in paired:A,B.
func lastParts(spec string) string {
	parts := strings.Split(spec, ",")
	for i, part := range parts {
		k := strings.LastIndex(part, ":")
		if k == 1 || k > 1 && part[k-2] == ':' { // a letter before a colon is a drive
			k -= 2
		}
		prefix, path := part[:k+1], part[k+1:]
		path = strings.TrimRight(strings.ReplaceAll(path, `\`, "/"), "/")
		parts[i] = prefix + path[strings.LastIndex(path, "/")+1:]
	}
	return strings.Join(parts, ",")
}

// enumerated lists names, the first of many.
func enumerated(names []string) string {
	const most = 100
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(", and %d more", len(names)-most)
}
