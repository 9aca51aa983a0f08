//go:build browser

package runpage

import (
	"context"
	"math"
	"os"
	"testing"
	"time"

	"fluxion/engine/record"

	"github.com/chromedp/chromedp"
)

// TestPage looks at a run in headless Chromium (Debian's package chromium), without a
// network: what was, what comes, and how it is stopped. FLUXION_SCREENSHOT names a file for
// a picture of it; FLUXION_GRID one of a grid.
func TestPage(t *testing.T) {
	stopped := make(chan struct{}, 1)
	p := serve(t, "127.0.0.1:0", func() { stopped <- struct{}{} })
	if file := os.Getenv("FLUXION_GRID"); file != "" {
		grid, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(p.dir+"/samples/000000500.png", grid, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.About([][2]string{{"data", "glyphs, 100,000 images of 32×32×3"}, {"network", "tiny, 1,115,363 parameters in 183 tensors"}})
	if err := p.Begin(500); err != nil {
		t.Fatal(err)
	}
	p.Note("a <b>note</b>")
	status := func(images int64) {
		p.Status(record.Status{Images: images, Of: 4000, Steps: images / 8, Loss: math.Exp(-float64(images) / 900), LR: 1.5e-3, GradNorm: 0.61, ImagesPerSecond: 57.3, Elapsed: 70 * time.Second, Left: 3000 * time.Second})
	}
	for images := int64(8); images <= 2000; images += 8 {
		status(images)
	}
	for images := int64(500); images <= 2000; images += 500 {
		p.Evaluation(record.Evaluation{Images: images, Values: []record.Value{{Name: "fd", Value: 500 / float64(images)}, {Name: "kid", Value: math.NaN()}}})
	}

	allocator, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1240, 1500))...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var loss, later, notes, link, ended, picture string
	var width, alone int
	var screen []byte
	path := func(to *string) chromedp.Action {
		return chromedp.AttributeValue("#loss .curves path", "d", to, nil, chromedp.ByQuery)
	}
	err := chromedp.Run(ctx,
		chromedp.Navigate(p.URL()),
		chromedp.WaitReady(`body[data-shown]`, chromedp.ByQuery),
		path(&loss),
		chromedp.InnerHTML("#notes", &notes, chromedp.ByQuery),
		chromedp.Text("#link", &link, chromedp.ByQuery),
		chromedp.Poll(`document.getElementById("picture").naturalWidth > 0 && document.getElementById("picture").naturalWidth`, &width),
		chromedp.AttributeValue("#picture", "src", &picture, nil, chromedp.ByQuery),
		chromedp.FullScreenshot(&screen, 100),
		chromedp.ActionFunc(func(context.Context) error { status(2400); return nil }),
		chromedp.Poll(`document.querySelector("#now dd").textContent === "2,400"`, nil),
		path(&later),
		chromedp.Evaluate(`for (const all = document.getElementById("evaluations"); all.children.length > 1;) all.lastChild.remove()`, nil),
		chromedp.Evaluate(`document.querySelector("#evaluations > *").clientWidth - document.getElementById("loss").clientWidth`, &alone),
		chromedp.Evaluate(`confirm = () => true`, nil),
		chromedp.Click("#stop", chromedp.ByQuery),
		chromedp.ActionFunc(func(ctx context.Context) error {
			select {
			case <-stopped:
				return p.Close()
			case <-ctx.Done():
				return ctx.Err()
			}
		}),
		chromedp.Poll(`document.getElementById("link").textContent === "ended"`, nil),
		chromedp.Text("#link", &ended, chromedp.ByQuery),
	)
	if err != nil {
		t.Fatal(err)
	}
	if loss == "" || loss == later || link != "training" || width == 0 || picture == "" {
		t.Errorf("curve %.40q, then %.40q; %q; picture %s of width %d", loss, later, link, picture, width)
	}
	if alone > 1 || alone < -1 {
		t.Errorf("the curve of one metric alone is %d pixels wider than that of the loss", alone)
	}
	if want := "a &lt;b&gt;note&lt;/b&gt;</li>"; len(notes) < len(want) || notes[len(notes)-len(want):] != want {
		t.Errorf("the log is %s, want %s at its end", notes, want)
	}
	if file := os.Getenv("FLUXION_SCREENSHOT"); file != "" {
		if err := os.WriteFile(file, screen, 0o666); err != nil {
			t.Error(err)
		}
	}
}
