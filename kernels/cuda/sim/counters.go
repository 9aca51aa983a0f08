package sim

// Class is the kind of an instruction.
type Class uint8

const (
	Integer Class = iota // integer, logic, comparison, move, conversion
	Float                // float32, float64, half arithmetic
	SpecialFunction
	Tensor
	MemoryAccess
	Control
	classes
)

// Counters are what a launch did. Instructions are of warps.
type Counters struct {
	Instructions     [classes]int64
	LaneInstructions int64 // instructions times active lanes
}

// Add adds the counts of another launch.
func (c *Counters) Add(o Counters) {
	for i := range c.Instructions {
		c.Instructions[i] += o.Instructions[i]
	}
	c.LaneInstructions += o.LaneInstructions
}
