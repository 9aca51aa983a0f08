package kernels

import "testing"

// TestReached: every window by its definition; the image may be smaller than a window.
func TestReached(t *testing.T) {
	for windows := 1; windows < 5; windows++ {
		for width := 1; width < 6; width++ {
			for stride := 1; stride < 4; stride++ {
				for pad := range 4 {
					for place := range 7 {
						first, end := Reached(windows, width, stride, pad, place)
						for ox := range windows {
							at := ox*stride - pad + place
							if has := at >= 0 && at < width; has != (ox >= first && ox < end) {
								t.Errorf("%d windows on %d pixels, stride %d, pad %d, place %d: [%d, %d), window %d is at %d", windows, width, stride, pad, place, first, end, ox, at)
							}
						}
					}
				}
			}
		}
	}
}
