//go:build browser

package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestPage opens the page of figures in headless Chromium (Debian's package
// chromium), without a network, moves a slider and hides a curve.
// FLUXION_SCREENSHOT names a file for a picture of it.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := fluxion(t, "figures", "--out", dir, "--images", "20"); err != nil {
		t.Fatal(err)
	}
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"), chromedp.WindowSize(1240, 3300))...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()

	const figure = `#churn`
	path := func(to *string) chromedp.Action {
		return chromedp.AttributeValue(figure+` .curves path`, "d", to, nil, chromedp.ByQuery)
	}
	var drawn string
	var before, after, value string
	var curves, fewer, empty int
	var picture []byte
	err := chromedp.Run(ctx,
		chromedp.Navigate("file://"+filepath.Join(dir, figurePage)),
		chromedp.AttributeValue("body", "data-drawn", &drawn, nil, chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelectorAll("figure").length - [...document.querySelectorAll("figure")].filter(f => f.querySelector(".curves").childElementCount).length`, &empty),
		path(&before),
		chromedp.Focus(figure+` input`, chromedp.ByQuery),
		chromedp.KeyEvent(kb.ArrowRight),
		path(&after),
		chromedp.Text(figure+` output`, &value, chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelectorAll("`+figure+` .curves path").length`, &curves),
		chromedp.Click(figure+` .legend button`, chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelectorAll("`+figure+` .curves path").length`, &fewer),
		chromedp.FullScreenshot(&picture, 100),
	)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.svg")) // one a figure
	if err != nil {
		t.Fatal(err)
	}
	if want := len(files); want == 0 || drawn != strconv.Itoa(want) || empty > 0 {
		t.Errorf("%s figures were drawn, want %d; %d are empty", drawn, want, empty)
	}
	if before == "" || before == after || value != "0.6" {
		t.Errorf("moving the slider leaves the curve as it was, or at the wrong value %q", value)
	}
	if fewer != curves-1 {
		t.Errorf("hiding one of %d curves leaves %d", curves, fewer)
	}
	if file := os.Getenv("FLUXION_SCREENSHOT"); file != "" {
		if err := os.WriteFile(file, picture, 0o666); err != nil {
			t.Error(err)
		}
	}
}
