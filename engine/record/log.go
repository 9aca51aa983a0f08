package record

// Log writes into a log what metrics say, and which images were left out since the status
// before, or in the end since the last one. It tells the user of the first: whoever wants
// them in has to know which they are.
func Log(skipped func() []string, tell, note func(format string, args ...any)) Sink {
	return &log{skipped: skipped, tell: tell, note: note}
}

type log struct {
	Nothing
	skipped    func() []string // so far
	named      int             // of them
	tell, note func(format string, args ...any)
}

func (l *log) Status(Status) error { return l.Close() }

func (l *log) Evaluation(e Evaluation) error {
	l.note("evaluation after %d images, in %.1f s: %v; %s", e.Images, e.Seconds, e, e.Of)
	return nil
}

// Rewind begins again: who reads the data anew has left nothing out yet.
func (l *log) Rewind(int64) error {
	l.named = 0
	return nil
}

func (l *log) Close() error {
	all := l.skipped()
	for i, name := range all[l.named:] {
		if l.named+i == 0 {
			l.tell("%s cannot be read and is left out; log.txt names all that are", name)
			continue
		}
		l.note("%s cannot be read and is left out", name)
	}
	l.named = len(all)
	return nil
}
