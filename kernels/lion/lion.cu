// The end of a training step over the flat buffers: clipping, Lion, the moving average and
// the bf16 copy that products read. See lion.go.
#include "optim.cuh"

// Row is the row of a step, as PutParameters writes it.
struct Row {
  double grad_scale, clip_norm;
  float rate, beta1, beta2, decay;
  float ema_decay; // share of the old average that is kept
  uint32_t unused;
};
static_assert(sizeof(Row) == 40, "lion.go writes 40 bytes");

__device__ inline void update(const Row &s, float decay, float g, float &p, float (&momentum)[1]) {
  float &m = momentum[0];
  const float c = s.beta1 * m + (1 - s.beta1) * g;
  m = s.beta2 * m + (1 - s.beta2) * g;
  p -= s.rate * ((c > 0) - (c < 0) + decay * p);
}

extern "C" __global__ void __launch_bounds__(threads) lion_update(Flat<1> b, Parameters p) { step<Row>(b, p); }
