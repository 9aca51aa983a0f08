// The Euclidean norm of a flat buffer, in two stages of fixed order. Sums are
// float64 as on the CPU: a square of a float neither overflows nor vanishes there.
#include "sums.cuh"

constexpr int threads = 512;
constexpr uint32_t run = 65536; // Block of the Go package: values of a sum

// Each block leaves the sum of the squares of its run of values, whatever comes before and behind: of a part
// that begins with a run the sums are those of the whole.
extern "C" __global__ void __launch_bounds__(threads) gradnorm_partial(double *sums, const float *x, uint64_t n) {
  __shared__ double shared[threads / 32];
  x += uint64_t(blockIdx.x) * run;
  const uint32_t end = uint32_t(min(uint64_t(run), n - uint64_t(blockIdx.x) * run));
  double sum = 0;
  uint32_t i = threadIdx.x * 4;
#pragma unroll 4
  for (; i + 4 <= end; i += 4 * threads) {
    float v[4];
    load(v, x + i);
#pragma unroll
    for (int j = 0; j < 4; j++) sum = fma(double(v[j]), double(v[j]), sum);
  }
  for (; i < end; i++) sum = fma(double(x[i]), double(x[i]), sum); // of one thread, less than four
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
