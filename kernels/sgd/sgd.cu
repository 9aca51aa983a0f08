// The end of a training step over the flat buffers: clipping, SGD with momentum, the
// moving average and the bf16 copy that products read. See sgd.go.
#include "optim.cuh"

// Row is the row of a step, as PutParameters writes it.
struct Row {
  double grad_scale, clip_norm;
  float rate, momentum, decay;
  float ema_decay; // share of the old average that is kept
  uint32_t nesterov, unused;
};
static_assert(sizeof(Row) == 40, "cuda.go writes 40 bytes");

struct Buffers {
  float *parameters;
  const float *gradients;
  float *velocity, *average;
  bf16 *copy; // null where products read the parameters themselves
  const float *norm;
  uint64_t n;
};

__device__ inline void update(const Row &s, float scale, float &p, float g, float &v, float &average) {
  g = g * scale + s.decay * p;
  v = s.momentum * v + g;
  p -= s.rate * (s.nesterov ? g + s.momentum * v : v);
  average += (1 - s.ema_decay) * (p - average);
}

// Four elements a thread. A norm that is not finite leaves everything as it is.
extern "C" __global__ void __launch_bounds__(threads) sgd_update(Buffers b, Parameters p) {
  __shared__ Row s;
  __shared__ float shared_scale;
  __shared__ bool finite;
  if (threadIdx.x == 0) {
    s = *p.row<Row>();
    shared_scale = clipped(*b.norm, s.grad_scale, s.clip_norm, finite);
  }
  __syncthreads();
  const uint64_t i = first();
  if (!finite || i >= b.n) return;
  const float scale = shared_scale;

  if (i + 4 <= b.n) {
    float w[4], g[4], v[4], a[4];
    load(w, b.parameters + i);
    load(g, b.gradients + i);
    load(v, b.velocity + i);
    load(a, b.average + i);
#pragma unroll
    for (int j = 0; j < 4; j++) update(s, scale, w[j], g[j], v[j], a[j]);
    store(b.parameters + i, w);
    store(b.velocity + i, v);
    store(b.average + i, a);
    if (b.copy) store(b.copy + i, w);
    return;
  }
  for (uint64_t j = i; j < b.n; j++) {
    float w = b.parameters[j], v = b.velocity[j], a = b.average[j];
    update(s, scale, w, b.gradients[j], v, a);
    b.parameters[j] = w, b.velocity[j] = v, b.average[j] = a;
    if (b.copy) b.copy[j] = narrow<bf16>(w);
  }
}
