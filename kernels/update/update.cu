// The sampler's half of a sampling step: see update.go for what it computes,
// cuda.go for the layout of the row. Every operation is rounded on its own, in the
// order of the CPU kernel: the same bits. A thread makes 4 values at a time, which
// are one block of Philox.
#include "group.cuh"
#include "philox.cuh"

using namespace philox;

constexpr int threads = 128, slots = 6;

// Row is the row of a step without the numbers of its images, which follow it.
struct Row {
  uint64_t seed;
  float a, b, c;
  float history[slots];
  int32_t store;
  float keep_z, keep_y;
  float guidance;
  float x_z, x_y;
  uint32_t clip, count, pixels;
};
static_assert(sizeof(Row) == 80, "cuda.go writes 80 bytes");

struct Launch {
  View z, second, y, unconditional, history[slots];
  uint8_t *bytes;                          // pixels, null if no step writes them
  uint32_t pixels, channels, span, unused; // of an image; values of a block
};

// clip_output is y changed so that x̂ lies in ±1; NaN stays.
__device__ inline float clip_output(const Row &s, float z, float y) {
  const float x = add(mul(s.x_z, z), mul(s.x_y, y));
  const float clipped = x < -1 ? -1 : x > 1 ? 1 : x;
  return clipped == x ? y : add(y, __fdiv_rn(sub(clipped, x), s.x_y));
}

// pixel is the byte of a value: Pixel of update.go.
__device__ inline uint32_t pixel(float v) {
  const float p = mul(127.5f, add(v, 1));
  if (!(p > 0)) return 0;
  if (p >= 255) return 255;
  const uint32_t b = __float2uint_rz(p);
  return b + (sub(p, __uint2float_rn(b)) >= 0.5f);
}

template <bool Vector>
__device__ void update(const Launch &k, const Parameters &p) {
  __shared__ Row s;
  __shared__ uint64_t image;
  const Span part(k.pixels * k.channels, k.span);
  constexpr uint32_t words = sizeof(Row) / 4;
  if (threadIdx.x <= words) {
    const uint8_t *row = p.row<uint8_t>();
    if (threadIdx.x < words) {
      reinterpret_cast<uint32_t *>(&s)[threadIdx.x] = reinterpret_cast<const uint32_t *>(row)[threadIdx.x];
    } else {
      image = reinterpret_cast<const uint64_t *>(row + sizeof(Row))[part.image];
    }
  }
  __syncthreads();

  const Source source(s.seed, SampleNoise, image, s.count);
  const bool convert = s.keep_z != 0 || s.keep_y != 0;
  for (uint32_t v = part.from + 4 * threadIdx.x; v < part.to; v += 4 * threads) {
    const Group<Vector> group(part.image, k.pixels, k.channels, v, part.to);
    float z[4], y[4];
    group.read(z, k.z);
    group.read(y, k.y);
    if (k.unconditional.data) {
      float u[4];
      group.read(u, k.unconditional);
#pragma unroll
      for (int j = 0; j < 4; j++) y[j] = add(u[j], mul(s.guidance, sub(y[j], u[j])));
    }
    if (s.clip) {
#pragma unroll
      for (int j = 0; j < 4; j++) y[j] = clip_output(s, z[j], y[j]);
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float seen = z[j];
      z[j] = add(mul(s.a, seen), mul(s.b, y[j]));
      if (convert) y[j] = add(mul(s.keep_z, seen), mul(s.keep_y, y[j]));
    }
#pragma unroll
    for (int slot = 0; slot < slots; slot++) {
      if (!k.history[slot].data) continue;
      if (s.history[slot] != 0) {
        float h[4];
        group.read(h, k.history[slot]);
#pragma unroll
        for (int j = 0; j < 4; j++) z[j] = add(z[j], mul(s.history[slot], h[j]));
      }
      if (s.store == slot) group.write(k.history[slot], y); // read before, if at all
    }
    if (s.c != 0) {
      float e[4];
      source.normal(e, v / 4);
#pragma unroll
      for (int j = 0; j < 4; j++) z[j] = add(z[j], mul(s.c, e[j]));
    }
    group.write(k.z, z);
    if (k.second.data) group.write(k.second, z);
    if (s.pixels && k.bytes) {
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
  }
}

// Any shape, any pitch.
extern "C" __global__ void __launch_bounds__(threads) update_scalar(Launch k, Parameters p) { update<false>(k, p); }

// Dense operands, 16-byte aligned; images are whole groups.
extern "C" __global__ void __launch_bounds__(threads) update_vector(Launch k, Parameters p) { update<true>(k, p); }
