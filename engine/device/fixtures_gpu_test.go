//go:build gpu

package device

// simulatedFixtures are the fixtures that the simulated GPU runs: all.
var simulatedFixtures []string
