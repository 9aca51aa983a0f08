package data

// Fit is how a picture is brought to a square.
type Fit string

// The ways; a picture that is brought to no size has none of them.
const (
	Crop    Fit = "crop"    // its middle is cut out
	Pad     Fit = "pad"     // all of it, between white bars
	Stretch Fit = "stretch" // all of it, drawn out of shape
)

// Fits lists them.
func Fits() []string { return []string{string(Crop), string(Pad), string(Stretch)} }

// asked is the shape that images of a shape are brought to, and how.
func (o Options) asked(s shape) (shape, Fit) {
	fit := Fit("")
	if o.Size > 0 {
		s.height, s.width, fit = o.Size, o.Size, Crop
		if o.Fit != "" {
			fit = o.Fit
		}
	}
	if o.Channels > 0 {
		s.channels = o.Channels
	}
	return s, fit
}
