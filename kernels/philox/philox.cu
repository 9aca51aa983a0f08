// Fills memory with the numbers of one request: package philox on a GPU.
#include "philox.cuh"

using philox::Source;

template <typename F>
__device__ inline void fill(float *out, uint32_t n, F four) {
  const uint32_t block = blockIdx.x * blockDim.x + threadIdx.x;
  if (block >= (n + 3) / 4) return;
  float v[4];
  four(v, block);
  if (4 * block + 4 <= n) {
    store(out + 4 * block, v);
    return;
  }
#pragma unroll
  for (int j = 0; j < 3; j++) {
    if (4 * block + j < n) out[4 * block + j] = v[j];
  }
}

extern "C" __global__ void __launch_bounds__(128) philox_uniform(float *out, uint32_t n, uint64_t seed, uint64_t address, uint32_t stream, uint32_t step) {
  const Source source(seed, stream, address, step);
  fill(out, n, [&](float(&v)[4], uint32_t i) { source.uniform(v, i); });
}

extern "C" __global__ void __launch_bounds__(128) philox_normal(float *out, uint32_t n, uint64_t seed, uint64_t address, uint32_t stream, uint32_t step) {
  const Source source(seed, stream, address, step);
  fill(out, n, [&](float(&v)[4], uint32_t i) { source.normal(v, i); });
}
