package nets

// The largest network that is taken from a file. Each bound is far beyond what was ever
// published, and within them every product of sizes is an int64, so that a broken or hostile
// file is refused by arithmetic, before anything of its size is made.
const (
	MostLevels   = 13      // so many halve MostSide to one pixel
	MostSide     = 4096    // published networks of pixels end at 1024
	MostLayers   = 64      // of a level; published: 2 to 4
	MostChannels = 1 << 14 // published: 2048
	MostRows     = 1 << 20 // of a table of classes or times; ImageNet-21k has 21,841
)

// CheckWithin refuses a whole number that is out of bounds.
//
//go:noinline
func CheckWithin(key string, n, least, most int) error {
	if n < least || n > most {
		return Refuse(key, "is %d, want %d to %d", n, least, most)
	}
	return nil
}

// CheckEach refuses a list of numbers of which one is out of bounds.
//
//go:noinline
func CheckEach(key string, list []int, least, most int) error {
	for _, n := range list {
		if n < least || n > most {
			return Refuse(key, "is %v, want numbers from %d to %d", list, least, most)
		}
	}
	return nil
}

// CheckDropout refuses what is no share of values that may be left out.
func CheckDropout(n Number) error {
	if !(n.Value >= 0 && n.Value < 1) {
		return Refuse("dropout", "is %g, want a share from 0 to below 1", n.Value)
	}
	return nil
}

// CheckSigmaOfData refuses what is no deviation of data, as EDM's and EDM2's files have it, and
// notes where it is not that of output edm.
func CheckSigmaOfData(n Number) (notes []string, err error) {
	switch {
	case !(n.Value > 0) || n.Value-n.Value != 0:
		return nil, Refuse("sigma_data", "is %g, want a deviation above 0, such as 0.5", n.Value)
	case n.Value != 0.5:
		notes = append(notes, "sigma_data is "+show(n.generic())+": output edm is for 0.5")
	}
	return notes, nil
}
