// The clean image as a network's output has it: see estimate.go. A block is a span
// of values of one image.
#include "group.cuh"
#include "philox.cuh"

using philox::add, philox::mul; // each operation rounded on its own

constexpr int threads = 128;

struct Launch {
  View x, z, y, weights;           // two weights an image
  uint32_t pixels, channels, span; // of an image; values of a block
  uint32_t unused;
};

template <bool Vector>
__device__ void image(const Launch &k) {
  const float *weights = k.weights.data + k.weights.pitch * blockIdx.y;
  const float of_z = weights[0], of_y = weights[1];
  const bool none = of_z == 0 && of_y == 0;
  const uint32_t from = blockIdx.x * k.span, to = min(from + k.span, k.pixels * k.channels);
  for (uint32_t v = from + 4 * threadIdx.x; v < to; v += 4 * threads) {
    const Group<Vector> group(blockIdx.y, k.pixels, k.channels, v, to);
    float x[4] = {};
    if (!none) {
      float z[4], y[4];
      group.read(z, k.z);
      group.read(y, k.y);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        x[j] = add(mul(of_z, z[j]), mul(of_y, y[j]));
        x[j] = x[j] < -1 ? -1 : x[j] > 1 ? 1 : x[j];
      }
    }
    group.write(k.x, x);
  }
}

// Any shape, any pitch.
extern "C" __global__ void __launch_bounds__(threads) estimate_image_scalar(Launch k) { image<false>(k); }

// Dense operands, 16-byte aligned; images are whole groups.
extern "C" __global__ void __launch_bounds__(threads) estimate_image_vector(Launch k) { image<true>(k); }
