// The end of a training step over the flat buffers: clipping, Adam or rectified Adam, the
// moving average and the bf16 copy that products read. See adam.go.
#include "optim.cuh"

// Row is the row of a step, as PutParameters writes it.
struct Row {
  double grad_scale, clip_norm;
  float rate, beta1, beta2, epsilon, decay; // the rate of the corrected first moment
  float correction2;                        // 1/(1−β₂ᵏ)
  float ema_decay;                          // share of the old average that is kept
  uint32_t adaptive;
};
static_assert(sizeof(Row) == 48, "adam.go writes 48 bytes");

__device__ inline void update(const Row &s, float decay, float g, float &p, float (&moments)[2]) {
  float &m = moments[0], &v = moments[1];
  g += decay * p;
  m = s.beta1 * m + (1 - s.beta1) * g;
  v = s.beta2 * v + (1 - s.beta2) * g * g;
  p -= s.rate * (s.adaptive ? m / (sqrtf(v * s.correction2) + s.epsilon) : m);
}

extern "C" __global__ void __launch_bounds__(threads) adam_update(Flat<2> b, Parameters p) { step<Row>(b, p); }
