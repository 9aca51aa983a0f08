// Sums of images, each with a coefficient of its own: see mix.go. A block is a span of
// values of one image.
#include "group.cuh"
#include "philox.cuh"

using philox::add, philox::mul; // each operation rounded on its own

constexpr int threads = 128;
constexpr int max_terms = 4;

struct Launch {
  View out, x[max_terms], coefficients; // a row of them an image
  uint32_t from, terms;                 // columns of the row that count
  float limit;                          // of results
  uint32_t pixels, channels, span;      // of an image; values of a block
};

template <bool Vector>
__device__ void images(const Launch &k) {
  const Span part(k.pixels * k.channels, k.span);
  const float *row = k.coefficients.data + k.coefficients.pitch * part.image + k.from;
  float c[max_terms];
#pragma unroll
  for (int i = 0; i < max_terms; i++) c[i] = i < k.terms ? row[i] : 0;
  for (uint32_t v = part.from + 4 * threadIdx.x; v < part.to; v += 4 * threads) {
    const Group<Vector> group(part.image, k.pixels, k.channels, v, part.to);
    float sum[4] = {};
    bool first = true;
#pragma unroll
    for (int i = 0; i < max_terms; i++) {
      if (c[i] == 0) continue;
      float x[4];
      group.read(x, k.x[i]);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float term = mul(c[i], x[j]);
        sum[j] = first ? term : add(sum[j], term);
      }
      first = false;
    }
#pragma unroll
    for (int j = 0; j < 4; j++) sum[j] = sum[j] < -k.limit ? -k.limit : sum[j] > k.limit ? k.limit : sum[j];
    group.write(k.out, sum);
  }
}

// Any shape, any pitch.
extern "C" __global__ void __launch_bounds__(threads) mix_images(Launch k) { images<false>(k); }

// Dense operands, 16-byte aligned; images are whole groups.
extern "C" __global__ void __launch_bounds__(threads) mix_images_vector(Launch k) { images<true>(k); }
