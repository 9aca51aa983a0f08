// Guidance with what takes a look at whole images: see guide.go for what it
// computes, cuda.go for the layout of the row. A block is an image; a thread comes
// back to the same values in every pass, so what it wrote it may read.
#include "group.cuh"
#include "philox.cuh"
#include "sums.cuh"

using philox::add, philox::mul, philox::sub; // each operation rounded on its own

constexpr int threads = 256;

struct Row {
  float guidance, rescale, percentile;
  float x_z, x_y;
  uint32_t clip;
  uint64_t unused;
};
static_assert(sizeof(Row) == 32, "cuda.go writes 32 bytes");

struct Launch {
  View z, y, unconditional, estimates[2];
  uint32_t pixels, channels; // of an image
};

__device__ inline float estimate(const Row &s, float z, float y) { return add(mul(s.x_z, z), mul(s.x_y, y)); }

// total adds over the block; shared is free again when it returns.
__device__ inline double total(double x, double (&shared)[threads / 32]) {
  x = block_sum<threads>(x, shared);
  __syncthreads();
  return x;
}

template <bool Vector>
struct Image {
  const Launch &k;
  const Row &s;
  double (&shared)[threads / 32];
  uint32_t values;

  template <typename Body>
  __device__ void each(Body body) const {
    for (uint32_t v = 4 * threadIdx.x; v < values; v += 4 * threads) {
      const Group<Vector> group(blockIdx.x, k.pixels, k.channels, v, values);
      body(group);
    }
  }

  __device__ void guide() const {
    double before[2] = {}, after[2] = {}; // sums of values and of squares
    each([&](const Group<Vector> &group) {
      float y[4], u[4];
      group.read(y, k.y);
      group.read(u, k.unconditional);
#pragma unroll
      for (int j = 0; j < 4; j++) { // values beyond the end are 0
        before[0] += y[j], before[1] += double(y[j]) * y[j];
        y[j] = add(u[j], mul(s.guidance, sub(y[j], u[j])));
        after[0] += y[j], after[1] += double(y[j]) * y[j];
      }
      group.write(k.y, y);
    });
    if (s.rescale == 0) return;
#pragma unroll
    for (int i = 0; i < 2; i++) before[i] = total(before[i], shared), after[i] = total(after[i], shared);
    const double from = before[1] - before[0] * before[0] / values, to = after[1] - after[0] * after[0] / values;
    const double ratio = to > 0 && from >= 0 ? sqrt(from / to) : 1;
    const float factor = float(s.rescale * ratio + (1 - double(s.rescale)));
    each([&](const Group<Vector> &group) {
      float y[4];
      group.read(y, k.y);
#pragma unroll
      for (int j = 0; j < 4; j++) y[j] = mul(factor, y[j]);
      group.write(k.y, y);
    });
  }

  // smallest is the magnitude of x̂ that n others are below: bits of floats that
  // are not negative have their order, and are found one by one.
  __device__ float smallest(uint32_t n) const {
    uint32_t found = 0;
#pragma unroll 1
    for (uint32_t bit = 1u << 30; bit; bit >>= 1) {
      uint32_t below = 0;
      each([&](const Group<Vector> &group) {
        float z[4], y[4];
        group.read(z, k.z);
        group.read(y, k.y);
#pragma unroll
        for (int j = 0; j < 4; j++) {
          below += j < group.n && (__float_as_uint(estimate(s, z[j], y[j])) & 0x7fffffffu) < (found | bit);
        }
      });
      if (total(below, shared) <= n) found |= bit;
    }
    return __uint_as_float(found);
  }

  // limit is the percentile of |x̂|, interpolated between two values, at least 1.
  __device__ float limit() const {
    const double at = double(s.percentile) * (values - 1);
    const uint32_t whole = uint32_t(at);
    const float part = float(at - whole);
    float low = 0, high = 0;
#pragma unroll 1
    for (uint32_t n = whole; n < min(whole + 2, values); n++) low = high, high = smallest(n);
    return fmaxf(1, whole + 1 < values ? add(low, mul(part, sub(high, low))) : high);
  }

  __device__ void clip(float limit) const {
    each([&](const Group<Vector> &group) {
      float z[4], y[4];
      group.read(z, k.z);
      group.read(y, k.y);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float x = estimate(s, z[j], y[j]);
        const float to = __fdiv_rn(x < -limit ? -limit : x > limit ? limit : x, limit);
        if (to != x) y[j] = add(y[j], __fdiv_rn(sub(to, x), s.x_y));
      }
      group.write(k.y, y);
    });
  }

  __device__ void keep(const View &m) const {
    each([&](const Group<Vector> &group) {
      float z[4], y[4];
      group.read(z, k.z);
      group.read(y, k.y);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float x = estimate(s, z[j], y[j]);
        y[j] = x < -1 ? -1 : x > 1 ? 1 : x;
      }
      group.write(m, y);
    });
  }
};

template <bool Vector>
__device__ void guide(const Launch &k, const Parameters &p) {
  __shared__ double shared[threads / 32];
  const Row s = *p.row<Row>();
  const Image<Vector> image{k, s, shared, k.pixels * k.channels};
  if (k.unconditional.data) image.guide();
  if (s.x_y != 0 && (s.percentile > 0 || s.clip)) image.clip(s.percentile > 0 ? image.limit() : 1);
  if (k.estimates[0].data) image.keep(k.estimates[0]);
  if (k.estimates[1].data) image.keep(k.estimates[1]);
}

// Any shape, any pitch.
extern "C" __global__ void __launch_bounds__(threads) guide_scalar(Launch k, Parameters p) { guide<false>(k, p); }

// Dense operands, 16-byte aligned; images are whole groups.
extern "C" __global__ void __launch_bounds__(threads) guide_vector(Launch k, Parameters p) { guide<true>(k, p); }
