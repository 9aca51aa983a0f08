// A few numbers of a step, and the counter that says which step it is.
#include "fluxion.cuh"

constexpr int threads = 128;

extern "C" __global__ void __launch_bounds__(threads) feed_vector(float *to, uint32_t n, Parameters p) {
  const uint32_t i = blockIdx.x * threads + threadIdx.x;
  if (i < n) to[i] = p.row<float>()[i];
}

// The last launch of a step: rows are read from the next one on.
extern "C" __global__ void __launch_bounds__(32) feed_advance(uint32_t *counter) {
  if (threadIdx.x == 0) ++*counter;
}
