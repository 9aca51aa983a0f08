// The deviation of the noise of a step: see spread.go.
#include "group.cuh"

constexpr int threads = 256;

struct Row {
  float rate;
  uint32_t unused;
};
static_assert(sizeof(Row) == 8, "spread.go writes 8 bytes");

extern "C" __global__ void __launch_bounds__(threads) spread(View noise, View v, uint32_t rows, uint32_t cols, Parameters p) {
  const double rate = p.row<Row>()->rate;
  const uint64_t i = uint64_t(blockIdx.x) * threads + threadIdx.x;
  if (rate == 0 || i >= uint64_t(rows) * cols) return;
  float &e = noise.data[i / cols * noise.pitch + i % cols];
  e = float(double(e) * exp(rate * (1 + double(v.data[i / cols * v.pitch + i % cols]))));
}
