package record

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Prometheus hands the newest numbers to write, as the text that the textfile collector of
// Prometheus' node exporter takes: with the first status, the last, and a few times a
// minute between. What write does not take is left out.
func Prometheus(run string, write func(text []byte)) Sink {
	return &prometheus{run: run, write: write, evaluated: map[string]float64{}}
}

// scrapePeriod is the time between two texts: collectors ask about as often.
const scrapePeriod = 15 * time.Second

type prometheus struct {
	Nothing
	run       string
	write     func([]byte)
	status    Status
	saved     int64 // images at the newest checkpoint
	names     []string
	evaluated map[string]float64
	written   time.Time
}

func (p *prometheus) Status(s Status) error {
	p.status = s
	if s.Images >= s.Of || time.Since(p.written) >= scrapePeriod {
		p.flush()
	}
	return nil
}

func (p *prometheus) Evaluation(e Evaluation) error {
	for _, v := range e.Values {
		if _, known := p.evaluated[v.Name]; !known {
			p.names = append(p.names, v.Name)
		}
		p.evaluated[v.Name] = v.Value
	}
	return nil
}

func (p *prometheus) Checkpoint(f File) error {
	p.saved = f.Images
	return nil
}

// Close writes what came after the last text. A run that had no status has none.
func (p *prometheus) Close() error {
	if p.status.Steps > 0 {
		p.flush()
	}
	return nil
}

func (p *prometheus) flush() {
	p.written = time.Now()
	p.write(p.text())
}

// text is the exposition format: a help, a type and values for each name.
func (p *prometheus) text() []byte {
	var b bytes.Buffer
	run := "run=" + label(p.run)
	metric := func(name, kind, help string, v float64, labels ...string) {
		name = "fluxion_" + name
		if help != "" {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		}
		fmt.Fprintf(&b, "%s{%s} %s\n", name, strings.Join(append([]string{run}, labels...), ","), strconv.FormatFloat(v, 'g', -1, 64))
	}
	s := p.status
	metric("images_total", "counter", "Images seen.", float64(s.Images))
	metric("images_target", "gauge", "Images after which the run ends.", float64(s.Of))
	metric("steps_total", "counter", "Steps made.", float64(s.Steps))
	metric("loss", "gauge", "Running mean of the loss.", s.Loss)
	metric("learning_rate", "gauge", "Learning rate of the newest step.", s.LR)
	metric("gradient_norm", "gauge", "Norm of the gradients of the newest step.", s.GradNorm)
	metric("images_per_second", "gauge", "Images seen in a second.", s.ImagesPerSecond)
	metric("elapsed_seconds", "counter", "Seconds that the run took, over all its processes.", s.Elapsed.Seconds())
	metric("left_seconds", "gauge", "Seconds that it will take at this rate.", s.Left.Seconds())
	metric("skipped_images", "gauge", "Images that cannot be read and are left out.", float64(len(s.Skipped)))
	metric("status_timestamp_seconds", "gauge", "When all this was so, in seconds since 1970.", float64(s.Time.UnixNano())/1e9)
	if p.saved > 0 {
		metric("checkpoint_images", "gauge", "Images seen at the newest checkpoint of this process.", float64(p.saved))
	}
	for i, name := range p.names {
		help := ""
		if i == 0 {
			help = "What the newest evaluation says."
		}
		metric("evaluation", "gauge", help, p.evaluated[name], "metric="+label(name))
	}
	return b.Bytes()
}

// label is the value of a label, quoted.
func label(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}
