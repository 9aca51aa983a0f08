// A given picture in sampling: see inpaint.go for what it computes, cuda.go for the
// layout of the row. Every operation is rounded on its own: the CPU's bits.
#include "group.cuh"
#include "philox.cuh"

using namespace philox;

constexpr int threads = 128;

// Row is the row of a step without the numbers of its images, which follow it.
struct Row {
  uint64_t seed;
  float a, s;
  uint32_t active, everywhere, pixels, unused;
};
static_assert(sizeof(Row) == 32, "cuda.go writes 32 bytes");

struct Launch {
  View z, second;
  const float *picture, *mask; // of one image
  uint8_t *bytes;              // pixels, null if no step writes them
  uint32_t pixels, channels;   // of an image
};

// pixel is the byte of a value: Pixel of update.go.
__device__ inline uint32_t pixel(float v) {
  const float p = mul(127.5f, add(v, 1));
  if (!(p > 0)) return 0;
  if (p >= 255) return 255;
  const uint32_t b = __float2uint_rz(p);
  return b + (sub(p, __uint2float_rn(b)) >= 0.5f);
}

__device__ inline float mix(float m, float z, float known) {
  if (m == 0) return known;
  if (m == 1) return z;
  return add(mul(m, z), mul(sub(1, m), known));
}

// inpaint is four values a thread, as many as a block of Philox has.
template <bool Vector>
__device__ void inpaint(const Launch &k, const Parameters &p) {
  const Row &s = *p.row<Row>();
  if (!s.active) return;
  const uint32_t values = k.pixels * k.channels;
  const Span part(values, 4 * threads);
  const Source source(s.seed, SampleStart, reinterpret_cast<const uint64_t *>(&s + 1)[part.image], 0);
  const uint32_t v = part.from + 4 * threadIdx.x;
  if (v >= values) return;
  const Group<Vector> group(part.image, k.pixels, k.channels, v, values);
  const Group<Vector> own(0, k.pixels, k.channels, v, values); // of the picture, the same for all images
  const View picture{const_cast<float *>(k.picture), k.channels}, mask{const_cast<float *>(k.mask), k.channels};
  float z[4], e[4], known[4], m[4] = {};
  group.read(z, k.z);
  own.read(known, picture);
  if (!s.everywhere) own.read(m, mask);
  source.normal(e, v / 4);
#pragma unroll
  for (int j = 0; j < 4; j++) z[j] = mix(m[j], z[j], add(mul(s.a, known[j]), mul(s.s, e[j])));
  group.write(k.z, z);
  if (k.second.data) group.write(k.second, z);
  if (!s.pixels || !k.bytes) return;
  uint8_t *bytes = k.bytes + group.at;
  if constexpr (Vector) {
    *reinterpret_cast<uint32_t *>(bytes) = pixel(z[0]) | pixel(z[1]) << 8 | pixel(z[2]) << 16 | pixel(z[3]) << 24;
  } else {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (j < group.n) bytes[j] = uint8_t(pixel(z[j]));
    }
  }
}

// Any shape, any pitch.
extern "C" __global__ void __launch_bounds__(threads) inpaint_scalar(Launch k, Parameters p) { inpaint<false>(k, p); }

// Dense operands, 16-byte aligned; images are whole groups.
extern "C" __global__ void __launch_bounds__(threads) inpaint_vector(Launch k, Parameters p) { inpaint<true>(k, p); }
