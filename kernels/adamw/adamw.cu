// The end of a training step over the flat buffers: clipping, AdamW, the moving
// average and the bf16 copy that products read. See adamw.go.
#include "optim.cuh"

// Row is the row of a step, as PutParameters writes it.
struct Row {
  double grad_scale, clip_norm;
  float rate, beta1, beta2, epsilon, decay;
  float correction1, correction2; // 1/(1−βᵏ)
  float ema_decay;                // share of the old average that is kept
};
static_assert(sizeof(Row) == 48, "cuda.go writes 48 bytes");

struct Buffers {
  float *parameters;
  const float *gradients;
  float *moment1, *moment2, *average;
  bf16 *copy; // null where products read the parameters themselves
  const float *norm;
  uint64_t n;
};

__device__ inline void update(const Row &s, float scale, float &p, float g, float &m, float &v, float &average) {
  g *= scale;
  m = s.beta1 * m + (1 - s.beta1) * g;
  v = s.beta2 * v + (1 - s.beta2) * g * g;
  const float step = s.rate * s.correction1 * m / (sqrtf(v * s.correction2) + s.epsilon);
  p -= step + s.rate * s.decay * p;
  average += (1 - s.ema_decay) * (p - average);
}

// Four elements a thread. A norm that is not finite leaves everything as it is.
extern "C" __global__ void __launch_bounds__(threads) adamw_update(Buffers b, Parameters p) {
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
    float w[4], g[4], m[4], v[4], a[4];
    load(w, b.parameters + i);
    load(g, b.gradients + i);
    load(m, b.moment1 + i);
    load(v, b.moment2 + i);
    load(a, b.average + i);
#pragma unroll
    for (int j = 0; j < 4; j++) update(s, scale, w[j], g[j], m[j], v[j], a[j]);
    store(b.parameters + i, w);
    store(b.moment1 + i, m);
    store(b.moment2 + i, v);
    store(b.average + i, a);
    if (b.copy) store(b.copy + i, w);
    return;
  }
  for (uint64_t j = i; j < b.n; j++) {
    float w = b.parameters[j], m = b.moment1[j], v = b.moment2[j], a = b.average[j];
    update(s, scale, w, b.gradients[j], m, v, a);
    b.parameters[j] = w, b.moment1[j] = m, b.moment2[j] = v, b.average[j] = a;
    if (b.copy) b.copy[j] = narrow<bf16>(w);
  }
}
