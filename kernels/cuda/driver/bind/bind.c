//go:build gpu

#include "bind.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>

#include "_cgo_export.h"

enum { NOTHING, LIBRARY, SIMULATED };

static atomic_int answering = NOTHING;
static atomic_int failure = FLUXION_NOT_INITIALIZED;

void *fluxion_bound(int index) {
	return atomic_load_explicit(&answering, memory_order_acquire) == LIBRARY ? fluxion_entries[index] : 0;
}

// thread numbers the threads that call the simulated driver, for CUDA's contexts
// are current to a thread. A number is never used again.
static uint64_t thread(void) {
	static atomic_ullong count;
	static _Thread_local uint64_t self;
	if (!self) self = atomic_fetch_add(&count, 1) + 1;
	return self;
}

int fluxion_unbound(int index, uint64_t *words) {
	switch (atomic_load_explicit(&answering, memory_order_acquire)) {
	case SIMULATED:
		return fluxionSimulate(index, thread(), words);
	case LIBRARY:
		return FLUXION_SYMBOL_NOT_FOUND; // an older driver
	}
	return atomic_load(&failure);
}

// cuInit does nothing: gorgonia.org/cu calls it when the program starts, and ends
// the program if it fails. The driver is initialised when it is bound.
int cuInit(unsigned flags) {
	(void)flags;
	return FLUXION_SUCCESS;
}

int fluxion_bind_library(const char *path, char *why, int size) {
	fluxion_unbind(FLUXION_NOT_INITIALIZED);
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		snprintf(why, size, "%s", dlerror());
		return FLUXION_NOT_INITIALIZED;
	}
	for (int i = 0; i < fluxion_functions; i++) fluxion_entries[i] = dlsym(library, fluxion_names[i]);
	int (*init)(unsigned) = dlsym(library, "cuInit");
	int result = init ? init(0) : FLUXION_SYMBOL_NOT_FOUND;
	if (result) {
		snprintf(why, size, init ? "cuInit failed" : "%s has no cuInit", path);
		fluxion_unbind(result);
		dlclose(library);
		return result;
	}
	atomic_store_explicit(&answering, LIBRARY, memory_order_release);
	return FLUXION_SUCCESS;
}

void fluxion_bind_simulated(void) { atomic_store_explicit(&answering, SIMULATED, memory_order_release); }

void fluxion_unbind(int result) {
	atomic_store(&failure, result);
	atomic_store_explicit(&answering, NOTHING, memory_order_release);
}
