//go:build !gpu

package device

// simulatedFixtures are the fixtures that the simulated GPU runs in the tests of
// a build without GPU path: with classes, attention, scale and shift. A build
// with it runs them all.
var simulatedFixtures = []string{"class-identity", "mid-scaled", "imagenet gradients"}
