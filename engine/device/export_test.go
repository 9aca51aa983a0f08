package device

import "fluxion/kernels/cuda"

// CutFor lets plans of a simulated GPU be cut for a card.
func (d *CUDA) CutFor(card cuda.Card) { d.card = card }
