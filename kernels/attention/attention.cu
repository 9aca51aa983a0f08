// What attention does between its matrix products: the softmax of rows of scores
// and its gradient, a warp for each row.
#include "fluxion.cuh"

constexpr int warps = 4;

// Row is this warp's: T elements from first on, four to a lane at a time. The
// memory behind them, up to the pitch, is nobody's and is not read.
struct Row {
  int64_t first;
  int length;

  __device__ Row(int length, int pitch) : first((int64_t(blockIdx.x) * warps + threadIdx.x / 32) * pitch), length(length) {}

  // each visits the columns of this lane, four at a time, and how many of them exist.
  template <typename Visit>
  __device__ void each(Visit visit) const {
    for (int c = threadIdx.x % 32 * 4; c < length; c += 128) visit(first + c, min(4, length - c));
  }
};

template <typename T>
__device__ inline void load_some(float (&v)[4], const T *p, int exist) {
  if (exist == 4) {
    load(v, p);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) v[i] = i < exist ? widen(p[i]) : 0;
}

template <typename T>
__device__ inline void store_some(T *p, const float (&v)[4], int exist) {
  if (exist == 4) {
    store(p, v);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (i < exist) p[i] = narrow<T>(v[i]);
  }
}

// p = softmax(scale·scores) by rows.
template <typename T>
__device__ inline void softmax(T *p, const float *scores, float scale, int rows, int length, int pitch) {
  if (int(blockIdx.x) * warps + int(threadIdx.x) / 32 >= rows) return;
  const Row row(length, pitch);
  float top = __int_as_float(0xff800000), sum = 0; // −∞
  row.each([&](int64_t at, int exist) {
    float s[4];
    load_some(s, scores + at, exist);
#pragma unroll
    for (int i = 0; i < 4; i++) top = i < exist ? fmaxf(top, scale * s[i]) : top;
  });
  top = warp_max(top);
  row.each([&](int64_t at, int exist) {
    float s[4];
    load_some(s, scores + at, exist);
#pragma unroll
    for (int i = 0; i < 4; i++) sum += i < exist ? expf(scale * s[i] - top) : 0;
  });
  const float norm = 1 / warp_sum(sum);
  row.each([&](int64_t at, int exist) {
    float s[4];
    load_some(s, scores + at, exist);
#pragma unroll
    for (int i = 0; i < 4; i++) s[i] = expf(scale * s[i] - top) * norm;
    store_some(p + at, s, exist);
  });
}

// p ← p∘(dp − Σ p∘dp)·scale by rows: the gradient of the scores where the probabilities were.
template <typename T>
__device__ inline void softmax_grad(T *p, const float *dp, float scale, int rows, int length, int pitch) {
  if (int(blockIdx.x) * warps + int(threadIdx.x) / 32 >= rows) return;
  const Row row(length, pitch);
  float dot = 0;
  row.each([&](int64_t at, int exist) {
    float x[4], d[4];
    load_some(x, p + at, exist);
    load_some(d, dp + at, exist);
#pragma unroll
    for (int i = 0; i < 4; i++) dot = fmaf(x[i], d[i], dot);
  });
  dot = warp_sum(dot);
  row.each([&](int64_t at, int exist) {
    float x[4], d[4];
    load_some(x, p + at, exist);
    load_some(d, dp + at, exist);
#pragma unroll
    for (int i = 0; i < 4; i++) x[i] *= (d[i] - dot) * scale;
    store_some(p + at, x, exist);
  });
}

#define KERNELS(T, name)                                                                                                                                       \
  extern "C" __global__ void __launch_bounds__(32 * warps) attention_softmax_##name(T *p, const float *s, float scale, int rows, int length, int pitch) {      \
    softmax(p, s, scale, rows, length, pitch);                                                                                                                 \
  }                                                                                                                                                            \
  extern "C" __global__ void __launch_bounds__(32 * warps) attention_softmax_grad_##name(T *p, const float *d, float scale, int rows, int length, int pitch) { \
    softmax_grad(p, d, scale, rows, length, pitch);                                                                                                            \
  }

KERNELS(float, f32)
KERNELS(bf16, bf16)
