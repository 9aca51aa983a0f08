// What the kernels of all optimizers have in common; the other half is
// kernels/optim.
#pragma once

#include "fluxion.cuh"

constexpr int threads = 256; // of a block; each has four elements

// first is the first element of this thread.
__device__ inline uint64_t first() { return (uint64_t(blockIdx.x) * threads + threadIdx.x) * 4; }

// clipped returns what the gradients are multiplied by, and whether their norm is finite:
// if not, the step leaves everything as it is.
__device__ inline float clipped(float norm, double grad_scale, double clip_norm, bool &finite) {
  finite = isfinite(norm);
  const double scaled = double(norm) * grad_scale;
  return float(clip_norm > 0 && scaled > clip_norm ? grad_scale * clip_norm / scaled : grad_scale);
}
