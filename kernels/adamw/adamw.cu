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

__device__ inline void update(const Row &s, float decay, float g, float &p, float (&moments)[2]) {
  float &m = moments[0], &v = moments[1];
  m = s.beta1 * m + (1 - s.beta1) * g;
  v = s.beta2 * v + (1 - s.beta2) * g * g;
  const float step = s.rate * s.correction1 * m / (sqrtf(v * s.correction2) + s.epsilon);
  p -= step + s.rate * decay * p;
}

extern "C" __global__ void __launch_bounds__(threads) adamw_update(Flat<2> b, Parameters p) { step<Row>(b, p); }
