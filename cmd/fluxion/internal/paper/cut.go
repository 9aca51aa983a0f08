package paper

// inside cuts a line at the edges of a box, so that no number far outside is drawn to.
func inside(points []point, b box) (pieces [][]point) {
	var piece []point
	end := func() {
		if piece != nil {
			pieces, piece = append(pieces, piece), nil
		}
	}
	if len(points) == 1 && b.holds(points[0]) {
		return [][]point{points}
	}
	for i := 1; i < len(points); i++ {
		from, to, seen := crossing(points[i-1], points[i], b)
		if !seen {
			end()
			continue
		}
		if piece == nil || piece[len(piece)-1] != from {
			end()
			piece = []point{from}
		}
		piece = append(piece, to)
	}
	end()
	return pieces
}

// crossing is the part of a way within a box, by Liang and Barsky.
func crossing(from, to point, b box) (start, stop point, seen bool) {
	dx, dy := to.x-from.x, to.y-from.y
	first, last := 0.0, 1.0
	for _, side := range [4]struct{ towards, room float64 }{
		{-dx, from.x - b.left}, {dx, b.right - from.x}, {-dy, from.y - b.top}, {dy, b.bottom - from.y},
	} {
		switch t := side.room / side.towards; {
		case side.towards == 0 && side.room < 0:
			return from, to, false
		case side.towards < 0:
			first = max(first, t)
		case side.towards > 0:
			last = min(last, t)
		}
	}
	if first > last {
		return from, to, false
	}
	start, stop = from, to
	if first > 0 {
		start = point{from.x + first*dx, from.y + first*dy}
	}
	if last < 1 {
		stop = point{from.x + last*dx, from.y + last*dy}
	}
	return start, stop, true
}
