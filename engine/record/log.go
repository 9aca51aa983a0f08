package record

// Log writes into a log which images were left out since the status before, and tells
// the user of the first: whoever wants them in has to know which they are.
func Log(tell, note func(format string, args ...any)) Sink {
	named := 0
	return Func(func(s Status) error {
		for i, name := range s.Skipped[named:] {
			if named+i == 0 {
				tell("%s cannot be read and is left out; log.txt names all that are", name)
				continue
			}
			note("%s cannot be read and is left out", name)
		}
		named = len(s.Skipped)
		return nil
	})
}
