package cpu

// spin tells the processor that this thread waits, for some tens of cycles.
func spin()
