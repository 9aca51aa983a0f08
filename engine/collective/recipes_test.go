package collective

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// fenced are the blocks of a language in RECIPES.md.
func fenced(t *testing.T, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("RECIPES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(m[1]))
	}
	return blocks
}

// pod is what recipes say of a pod, by the API of Kubernetes.
type pod struct {
	Spec struct {
		RestartPolicy string `yaml:"restartPolicy"`
		Containers    []struct {
			Name, Image  string
			Command      []string
			Resources    struct{ Requests, Limits map[string]string }
			VolumeMounts []struct {
				Name      string
				MountPath string `yaml:"mountPath"`
				ReadOnly  bool   `yaml:"readOnly"`
			} `yaml:"volumeMounts"`
		}
		Volumes []struct {
			Name                  string
			PersistentVolumeClaim struct {
				ClaimName string `yaml:"claimName"`
			} `yaml:"persistentVolumeClaim"`
		}
	}
}

// manifest is a Job of batch/v1, or an MPIJob of kubeflow.org/v2beta1.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		CompletionMode       string `yaml:"completionMode"`
		Completions          int
		Parallelism          int
		BackoffLimitPerIndex int `yaml:"backoffLimitPerIndex"`
		Template             pod
		SlotsPerWorker       int `yaml:"slotsPerWorker"`
		RunPolicy            struct {
			CleanPodPolicy string `yaml:"cleanPodPolicy"`
			BackoffLimit   int    `yaml:"backoffLimit"`
		} `yaml:"runPolicy"`
		MPIReplicaSpecs map[string]struct {
			Replicas int
			Template pod
		} `yaml:"mpiReplicaSpecs"`
	}
}

// TestKubernetes: the manifests have no key that the API has not, as many parts as indices,
// as many processes as workers, and mount what they name.
func TestKubernetes(t *testing.T) {
	var kinds []string
	for _, block := range fenced(t, "yaml") {
		decoder := yaml.NewDecoder(strings.NewReader(block))
		decoder.KnownFields(true)
		var m manifest
		if err := decoder.Decode(&m); err != nil {
			t.Error(err)
			continue
		}
		kinds = append(kinds, m.APIVersion+" "+m.Kind)
		pods := []pod{m.Spec.Template}
		switch m.Kind {
		case "Job":
			part := "auto/" + strconv.Itoa(m.Spec.Completions)
			if m.Spec.CompletionMode != "Indexed" || !slices.Contains(m.Spec.Template.Spec.Containers[0].Command, part) {
				t.Errorf("%s: want an indexed job with --part %s", m.Metadata.Name, part)
			}
		case "MPIJob":
			launcher, worker := m.Spec.MPIReplicaSpecs["Launcher"], m.Spec.MPIReplicaSpecs["Worker"]
			pods = []pod{launcher.Template, worker.Template}
			if want := fmt.Sprintf("mpirun -n %d ", worker.Replicas*m.Spec.SlotsPerWorker); !strings.HasPrefix(strings.Join(launcher.Template.Spec.Containers[0].Command, " "), want) {
				t.Errorf("%s: want %s", m.Metadata.Name, want)
			}
		}
		for _, p := range pods {
			var volumes []string
			for _, v := range p.Spec.Volumes {
				volumes = append(volumes, v.Name)
			}
			for _, c := range p.Spec.Containers {
				for _, v := range c.VolumeMounts {
					if !slices.Contains(volumes, v.Name) {
						t.Errorf("%s: no volume %s", c.Name, v.Name)
					}
				}
			}
		}
	}
	if want := []string{"batch/v1 Job", "kubeflow.org/v2beta1 MPIJob"}; !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}

// TestScripts: the scripts of SLURM are those of a shell, their options are sbatch's, and an
// array has as many tasks as parts. Lines of other launchers are those of a shell, too.
func TestScripts(t *testing.T) {
	scripts := fenced(t, "bash")
	if len(scripts) != 2 {
		t.Errorf("%d scripts", len(scripts))
	}
	options := []string{"job-name", "nodes", "ntasks-per-node", "cpus-per-task", "time", "signal", "requeue", "array"}
	for _, text := range scripts {
		for line := range strings.Lines(text) {
			option, ok := strings.CutPrefix(line, "#SBATCH --")
			name, value, _ := strings.Cut(strings.TrimSpace(option), "=")
			if ok && !slices.Contains(options, name) {
				t.Errorf("sbatch has no --%s", name)
			}
			if name == "array" {
				var last int
				if _, err := fmt.Sscanf(value, "0-%d", &last); err != nil || !strings.Contains(text, fmt.Sprintf("--part auto/%d ", last+1)) {
					t.Errorf("--array=%s: %v, of %s", value, err, text)
				}
			}
		}
	}
	text, err := os.ReadFile("RECIPES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^    ((?:mpirun|mpiexec|torchrun|mkdir) .*)$`).FindAllSubmatch(text, -1) {
		scripts = append(scripts, string(m[1]))
	}
	if len(scripts) != 7 {
		t.Errorf("%d lines and scripts", len(scripts))
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell is here")
	}
	for _, text := range scripts {
		c := exec.Command(shell, "-n")
		c.Stdin = strings.NewReader(text)
		if said, err := c.CombinedOutput(); err != nil || len(bytes.TrimSpace(said)) > 0 {
			t.Errorf("%s: %v: %s", text, err, said)
		}
	}
}
