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

__device__ inline void update(const Row &s, float decay, float g, float &p, float (&velocity)[1]) {
  float &v = velocity[0];
  g += decay * p;
  v = s.momentum * v + g;
  p -= s.rate * (s.nesterov ? g + s.momentum * v : v);
}

extern "C" __global__ void __launch_bounds__(threads) sgd_update(Flat<1> b, Parameters p) { step<Row>(b, p); }
