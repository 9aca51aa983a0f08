package setting_test

import (
	"fmt"

	"fluxion/data/setting"
)

// A setting is declared with the variable that holds it; a value of a file, or text, is
// taken or refused with what would be right.
func Example() {
	steps, eta := 30, (*float64)(nil)
	list := setting.List{
		{Key: "steps", Help: "intervals of the grid", Range: setting.Within(1, 10_000, ""), Value: setting.Of(&steps)},
		{Key: "eta", Help: "share of noise; its default is the sampler's", Value: setting.Optional(&eta)},
	}
	for _, s := range list {
		fmt.Printf("--%s: %s\n", s.FlagName(), s.Usage())
	}
	for _, text := range []string{"2e1", "0"} {
		err := list.Get("steps").Assign(text)
		fmt.Println(steps, err)
	}
	err := list.Get("eta").Assign(0.5)
	fmt.Println(*eta, err)
	// Output:
	// --steps: intervals of the grid; 1 to 10000
	// --eta: share of noise; its default is the sampler's
	// 20 <nil>
	// 20 0 is out of range, want 1 to 10000
	// 0.5 <nil>
}
