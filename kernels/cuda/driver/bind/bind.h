//go:build gpu

// The seam between whoever calls CUDA's driver API (gorgonia.org/cu, package
// driver) and what answers: NVIDIA's libcuda, the simulated driver, or a reason
// why there is neither.
#ifndef FLUXION_BIND_H
#define FLUXION_BIND_H

#include <stdint.h>
#include <string.h>

// Results of the seam itself; numbers of CUresult.
enum {
	FLUXION_SUCCESS = 0,
	FLUXION_NOT_INITIALIZED = 3,
	FLUXION_SYMBOL_NOT_FOUND = 302,
};

// In trampolines.c: the functions by index.
extern const int fluxion_functions;
extern const char *const fluxion_names[];
extern void *fluxion_entries[];

// fluxion_bound returns libcuda's function, or null if it is not libcuda that answers.
void *fluxion_bound(int index);
// fluxion_unbound answers in its place. Words are the arguments, 64 bits each.
int fluxion_unbound(int index, uint64_t *words);

// fluxion_bind_library looks for libcuda and initialises it. On failure it
// returns a CUresult and says why; later calls then give that result, too.
int fluxion_bind_library(const char *path, char *why, int size);
// fluxion_bind_simulated makes the simulated driver answer.
void fluxion_bind_simulated(void);
// fluxion_unbind makes every call fail with that result.
void fluxion_unbind(int result);

static inline uint64_t fluxion_bits(float f) {
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	return bits;
}

#endif
