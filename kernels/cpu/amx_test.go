package cpu

import (
	"os"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/cpu/amx/amxtest"
)

// TestAMX runs the tests of products of bfloat16 on tiles, where need be on emulated ones.
func TestAMX(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	amxtest.Run(t, "^(TestTileBF16|TestTileTBF16|TestTurn|TestPairs|TestDenormals|TestPeakBF16)$/^amx$")
}

// TestAMXRefused: what the system refuses is not there, and nothing else is missing.
func TestAMXRefused(t *testing.T) {
	amxtest.Refused(t, "^TestWithoutTiles$")
}

// TestWithoutTiles: without permission there is no such instruction set, neither by
// name nor by itself.
func TestWithoutTiles(t *testing.T) {
	if slices.Contains(Names(), "amx") {
		return // it is TestAMXRefused that makes sure
	}
	if k, err := Select("amx"); err == nil || !strings.Contains(err.Error(), "amx is not an instruction set of this machine") {
		t.Errorf("tiles without permission: %v, %v", k, err)
	}
	t.Setenv(Variable, "")
	os.Unsetenv(Variable)
	if k, err := Select(""); err != nil || k.Name != Names()[0] {
		t.Errorf("%v, %v", k, err)
	}
}
