// Package equality holds the devices against each other: the same training and
// the same pictures on the CPU and on a GPU, which is the simulated one unless cudatest says otherwise.
package equality
