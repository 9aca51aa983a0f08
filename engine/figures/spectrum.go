package figures

import (
	"fmt"
	"math"
	"math/cmplx"

	"fluxion/engine/process"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Images are square pictures of one channel with values in [−1, 1], row by row.
type Images struct {
	Name   string
	Side   int
	Pixels [][]float64
}

// RadialSpectrum is the mean power of the images' centred Fourier transforms by
// distance from zero frequency: entry r averages |F|²/Side² over all
// frequencies whose radius rounds to r cycles an image, r = 0 … Side/2. White
// noise of variance 1 has power 1 everywhere.
func RadialSpectrum(images Images) []float64 {
	n := images.Side
	fft := fourier.NewCmplxFFT(n)
	power, count := make([]float64, n/2+1), make([]float64, n/2+1)
	grid := make([]complex128, n*n)
	line := make([]complex128, n)
	for _, pixels := range images.Pixels {
		for i, x := range pixels {
			grid[i] = complex(x, 0)
		}
		for y := range n {
			fft.Coefficients(grid[y*n:(y+1)*n], grid[y*n:(y+1)*n])
		}
		for x := range n {
			for y := range n {
				line[y] = grid[y*n+x]
			}
			fft.Coefficients(line, line)
			for y := range n {
				r := int(math.Round(math.Hypot(centred(x, n), centred(y, n))))
				if r < len(power) {
					power[r] += math.Pow(cmplx.Abs(line[y]), 2) / float64(n*n)
					count[r]++
				}
			}
		}
	}
	for r := range power {
		power[r] /= count[r]
	}
	return power
}

// centred is the signed frequency of coefficient i of n.
func centred(i, n int) float64 {
	if i > n/2 {
		i -= n
	}
	return float64(i)
}

// spectra shows how noise hides an image from its finest details on: the
// spectrum of αx against that of σε, at times along the straight path.
func spectra(images Images) (Figure, error) {
	if len(images.Pixels) == 0 || images.Side < 8 {
		return Figure{}, fmt.Errorf("spectra of %d images of side %d: want at least one of side 8", len(images.Pixels), images.Side)
	}
	data := RadialSpectrum(images)[1:] // zero frequency is the mean, not a detail
	schedule, err := process.GetSchedule("fm", process.ScheduleOptions{})
	if err != nil {
		return Figure{}, err
	}
	f := Figure{
		Title:   "Power spectra of images (" + images.Name + ") and of noise",
		Caption: "Radially averaged power of αx, of σε and of their sum. Images have power laws and noise is flat, so noise (of variance 1: power 1) hides fine details first and denoising brings back coarse ones first.",
		X:       "spatial frequency (cycles an image)", Y: "power (noise: 1)", LogX: true, LogY: true,
	}
	times := make([]float64, 19)
	for i := range times {
		times[i] = float64(i+1) / 20
	}
	f.Slider, f.Frames, err = family("t", times, 5, func(t float64) (Frame, error) {
		alpha, sigma := schedule.AlphaSigma(t)
		clean, noise, sum := Series{Name: "αx", Kind: Line}, Series{Name: "σε", Kind: Dashed}, Series{Name: "z = αx + σε", Kind: Line}
		visible := 0
		for i, p := range data {
			r := float64(i + 1)
			clean.X, clean.Y = append(clean.X, r), append(clean.Y, alpha*alpha*p)
			noise.X, noise.Y = append(noise.X, r), append(noise.Y, sigma*sigma)
			sum.X, sum.Y = append(sum.X, r), append(sum.Y, alpha*alpha*p+sigma*sigma)
			if visible == i && alpha*alpha*p > sigma*sigma {
				visible++
			}
		}
		note := fmt.Sprintf("the signal stands above the noise up to %d of %d cycles an image", visible, len(data))
		return Frame{Series: []Series{clean, noise, sum}, Note: note}, nil
	})
	return f, err
}
