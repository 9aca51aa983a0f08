// The Euclidean norm of a flat buffer, in two stages of fixed order. Sums are
// float64 as on the CPU: a square of a float neither overflows nor vanishes there.
#include "sums.cuh"

constexpr int threads = 256;

// Each block leaves the sum of the squares of every gridDim.x-th run of 4·256 values.
extern "C" __global__ void __launch_bounds__(threads) gradnorm_partial(double *sums, const float *x, uint64_t n) {
  __shared__ double shared[threads / 32];
  const uint64_t stride = uint64_t(gridDim.x) * 4 * threads;
  double sum = 0;
  uint64_t i = (uint64_t(blockIdx.x) * threads + threadIdx.x) * 4;
#pragma unroll 4
  for (; i + 4 <= n; i += stride) {
    float v[4];
    load(v, x + i);
#pragma unroll
    for (int j = 0; j < 4; j++) sum = fma(double(v[j]), double(v[j]), sum);
  }
  for (; i < n; i++) sum = fma(double(x[i]), double(x[i]), sum); // of one thread, less than four
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// One block: the root of the sum of all partial sums.
extern "C" __global__ void __launch_bounds__(threads) gradnorm_root(float *norm, const double *sums, uint32_t n) {
  __shared__ double shared[threads / 32];
  double sum = 0;
  for (uint32_t i = threadIdx.x; i < n; i += threads) sum += sums[i];
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) *norm = float(sqrt(sum));
}
