// An exponential moving average of the weights, behind the optimizer's step. See ema.go.
#include "optim.cuh"

// Row is the row of a step, as PutParameters writes it.
struct Row {
  float decay; // share of the old average that is kept
  uint32_t unused;
};
static_assert(sizeof(Row) == 8, "cuda.go writes 8 bytes");

// Four elements a thread. A norm that is not finite leaves everything as it is.
extern "C" __global__ void __launch_bounds__(threads)
    ema_update(float *average, const float *parameters, const float *norm, uint64_t n, Parameters p) {
  __shared__ float shared_share;
  if (threadIdx.x == 0) shared_share = isfinite(*norm) ? 1 - p.row<Row>()->decay : 0;
  __syncthreads();
  const uint64_t i = first();
  const float share = shared_share;
  if (share == 0 || i >= n) return;
  if (i + 4 <= n) {
    float w[4], a[4];
    load(w, parameters + i);
    load(a, average + i);
#pragma unroll
    for (int j = 0; j < 4; j++) a[j] += share * (w[j] - a[j]);
    store(average + i, a);
    return;
  }
  for (uint64_t j = i; j < n; j++) average[j] += share * (parameters[j] - average[j]);
}
