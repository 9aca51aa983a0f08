// A share of values left out: see dropout.go. A block is a span of values of one image; a
// thread makes four at a time, which are one block of Philox.
#include "group.cuh"
#include "philox.cuh"

constexpr int threads = 128;
constexpr uint32_t stream = 8; // philox.Dropout

template <typename T>
struct Matrix {
  T *data;
  uint64_t pitch;
};

template <typename T>
struct Launch {
  Matrix<T> y, x;
  View keys; // a row an image: seed and address, 16 bits a number
  uint32_t layer;
  float share, scale;
  uint32_t pixels, channels, span; // of an image; values of a block
};

__device__ inline uint64_t join(const float *pieces) {
  uint64_t word = 0;
#pragma unroll
  for (int i = 0; i < 4; i++) word |= uint64_t(uint32_t(pieces[i]) & 0xffffu) << (16 * i);
  return word;
}

template <typename T, bool Vector>
__device__ void dropout(const Launch<T> &k) {
  const Span part(k.pixels * k.channels, k.span);
  const float *row = k.keys.data + k.keys.pitch * part.image;
  const philox::Source source(join(row), stream, join(row + 4), k.layer);
  for (uint32_t v = part.from + 4 * threadIdx.x; v < part.to; v += 4 * threads) {
    const Group<Vector> group(part.image, k.pixels, k.channels, v, part.to);
    float x[4], u[4];
    if constexpr (Vector) {
      load(x, k.x.data + group.at);
    } else {
#pragma unroll
      for (int j = 0; j < 4; j++) x[j] = j < group.n ? widen(k.x.data[group.row[j] * k.x.pitch + group.column[j]]) : 0;
    }
    source.uniform(u, v / 4);
#pragma unroll
    for (int j = 0; j < 4; j++) x[j] = u[j] >= k.share ? philox::mul(k.scale, x[j]) : 0.0f;
    if constexpr (Vector) {
      store(k.y.data + group.at, x);
    } else {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (j < group.n) k.y.data[group.row[j] * k.y.pitch + group.column[j]] = narrow<T>(x[j]);
      }
    }
  }
}

#define FUNCTION(NAME, T, VECTOR) \
  extern "C" __global__ void __launch_bounds__(threads) NAME(Launch<T> k) { dropout<T, VECTOR>(k); }
// Dense operands of aligned groups, whose images are whole groups; and any others.
FUNCTION(dropout_f32, float, true)
FUNCTION(dropout_f32_any, float, false)
FUNCTION(dropout_bf16, bf16, true)
FUNCTION(dropout_bf16_any, bf16, false)
