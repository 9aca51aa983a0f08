// Command digests runs small trainings and samplings of a binary in every way that
// it has, and prints a digest of each one's weights and pictures: what must be the
// same, to the bit, after a change that only moves walls.
//
//	go build -o before ./cmd/fluxion && go run ./scripts/digests -fluxion ./before >before.txt
//	go build -o after ./cmd/fluxion && go run ./scripts/digests -fluxion ./after -against before.txt
//
// -gpu takes a binary of scripts/build-gpu.sh, whose runs on the simulated driver are
// added; -only an expression that names of cases must match. Instruction sets that
// this processor lacks are left out, and so are lines of -against that were not run.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fluxion/data"
)

// step is a command of a case: arguments of the binary.
type step []string

// common to all trainings: nothing is left to defaults, which may change.
var common = step{
	"train", "--data", "glyphs", "--lr", "0.001", "--warmup", "16", "--decay", "0.3", "--clip", "1", "--ema", "200", "--ema-warmup", "0.1", "--beta2", "0.99",
	"--seed", "3", "--out", "run", "--checkpoint-every", "0", "--flip=false", "--label-drop", "0.1", "--keep", "9",
}

func train(args ...string) step { return append(slices.Clone(common), args...) }

func sample(args ...string) step {
	return append(step{"sample", "--model", "run", "--out", "pictures", "--seeds", "0-4", "--batch", "3"}, args...)
}

// cases of every instruction set and precision.
var cases = []struct {
	name  string
	steps []step
}{
	{"classes", []step{train("--preset", "micro", "--size", "16", "--batch", "4", "--images", "32", "--sample-count", "4", "--sample-steps", "3"), sample("--steps", "4", "--sampler", "heun")}},
	{"resume", []step{train("--preset", "micro", "--size", "16", "--batch", "4", "--images", "16", "--decay", "0", "--sample-count", "0"), train("--preset", "micro", "--size", "16", "--batch", "4", "--images", "32", "--decay", "0", "--sample-count", "0")}},
	{"accumulate", []step{train("--preset", "micro", "--size", "16", "--batch", "8", "--accumulate", "2", "--images", "32", "--sample-count", "0")}},
	{"guidance", []step{
		train("--preset", "micro", "--size", "16", "--batch", "4", "--images", "16", "--sample-count", "0"),
		sample("--steps", "4", "--sampler", "dpm++-2m", "--guidance", "2", "--guidance-rescale", "0.5", "--weights", "raw"),
	}},
	{"self-conditioning", []step{
		train("--preset", "micro", "--size", "16", "--batch", "4", "--images", "32", "--self-conditioning", "0.5", "--sample-count", "2", "--sample-steps", "3", "--recompute", "norms"),
		sample("--steps", "4", "--sampler", "ddpm", "--guidance", "1.5"),
	}},
	{"adaptive", []step{train("--preset", "micro", "--size", "8", "--batch", "4", "--images", "32", "--time-sampler", "adaptive", "--weighting", "sigmoid", "--output-kind", "eps", "--schedule", "cosine", "--flip", "--sample-count", "2", "--sample-steps", "2")}},
	{"tiny", []step{train("--preset", "tiny", "--size", "32", "--batch", "4", "--images", "8", "--sample-count", "0", "--recompute", "blocks"), sample("--steps", "2")}},
}

// way is how a case is run.
type way struct {
	name   string
	binary string
	env    []string
	flags  step // of train and sample
}

func main() {
	binary := flag.String("fluxion", "", "the binary")
	gpu := flag.String("gpu", "", "a binary with the GPU path")
	against := flag.String("against", "", "digests that must be the same")
	only := flag.String("only", "", "an expression for names of cases")
	flag.Parse()
	if err := run(*binary, *gpu, *against, *only); err != nil {
		fmt.Fprintln(os.Stderr, "digests:", err)
		os.Exit(1)
	}
}

func run(binary, gpu, against, only string) error {
	names, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	want, err := read(against)
	if err != nil {
		return err
	}
	all, err := ways(binary, gpu)
	if err != nil {
		return err
	}
	var wrong []string
	compared := 0
	for _, w := range all {
		for _, c := range cases {
			name := w.name + " " + c.name
			if !names.MatchString(name) || strings.HasPrefix(w.name, "sim") && c.name == "tiny" {
				continue
			}
			digest, err := w.run(c.steps)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(os.Stdout, "%s %s\n", digest, name)
			if old, ok := want[name]; ok {
				if compared++; old != digest {
					wrong = append(wrong, name)
				}
			}
		}
	}
	switch {
	case len(wrong) > 0:
		return fmt.Errorf("other bits than in %s: %s", against, strings.Join(wrong, "; "))
	case against != "" && compared == 0:
		return fmt.Errorf("%s has none of these cases", against)
	case against != "":
		fmt.Fprintf(os.Stderr, "digests: %d the same as in %s\n", compared, against)
	}
	return nil
}

// ways are the instruction sets that the binary has here, and the simulated GPU.
func ways(binary, gpu string) ([]way, error) {
	var list []way
	for _, precision := range []string{"fp32", "bf16"} {
		for _, set := range []string{"portable", "avx2", "avx512", "avx512_bf16", "amx"} {
			if binary == "" {
				continue
			}
			path, err := filepath.Abs(binary)
			if err != nil {
				return nil, err
			}
			w := way{set + " " + precision, path, []string{"FLUXION_CPU=" + set}, step{"--precision", precision, "--device", "cpu"}}
			if _, err := w.command(".", step{"doctor"}); err == nil {
				list = append(list, w)
			}
		}
		if gpu != "" {
			path, err := filepath.Abs(gpu)
			if err != nil {
				return nil, err
			}
			list = append(list, way{"sim " + precision, path, []string{"FLUXION_CUDA_DRIVER=sim"}, step{"--precision", precision, "--device", "cuda:0"}})
		}
	}
	if len(list) == 0 {
		return nil, errors.New("-fluxion or -gpu must name a binary")
	}
	return list, nil
}

func (w way) command(dir string, args step) ([]byte, error) {
	c := exec.Command(w.binary, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "FLUXION_BLOCKINGS=off")
	c.Env = append(c.Env, w.env...)
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return out, nil
}

// run runs the steps of a case and digests what they wrote.
func (w way) run(steps []step) (_ string, err error) {
	dir, err := os.MkdirTemp("", "digests-*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, s := range steps {
		if _, err := w.command(dir, append(slices.Clone(s), w.flags...)); err != nil {
			return "", err
		}
	}
	sum := sha256.New()
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "loss.png" || e.Name() == "000000000.png" { // a curve has other points by other times; grids before the first step are new
			return err
		}
		return digest(sum, path)
	})
	return fmt.Sprintf("%x", sum.Sum(nil)[:12]), err
}

// digest adds the tensors or the pixels of a file; what else there is may change.
func digest(sum io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	switch filepath.Ext(path) {
	case ".safetensors":
		_, err = io.Copy(sum, f)
	case ".png":
		img, decodeErr := png.Decode(f)
		if decodeErr != nil {
			return fmt.Errorf("%s: %w", path, decodeErr)
		}
		text, err := data.ReadText(path)
		if err != nil {
			return err
		}
		scale, err := strconv.Atoi(cmp.Or(text[data.ScaleText], "1")) // of a grid: each pixel is a square of them
		if err != nil || scale < 1 {
			return fmt.Errorf("%s: scale %s", path, text[data.ScaleText])
		}
		for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += scale {
			for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += scale {
				r, g, b, _ := img.At(x, y).RGBA()
				if _, err := sum.Write([]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}); err != nil {
					return err
				}
			}
		}
	}
	return err
}

// read returns the digests of a file by name.
func read(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	want := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if digest, name, ok := strings.Cut(lines.Text(), " "); ok {
			want[name] = digest
		}
	}
	return want, lines.Err()
}
