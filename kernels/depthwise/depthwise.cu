// Convolution of every channel by itself; bind.go binds it.
#include "tiles.cuh"

constexpr int rows_per_thread = 2; // bind.go's rowsPerThread

template <typename T, int N>
__device__ inline void conv(View<T> out, View<const T> in, View<const T> weights, const float *bias, int count, int cols, int h, int w, int oh, int ow,
                            int kh, int kw, int stride, int top, int left) {
  const int c = column<N>();
  if (c >= cols) return;
  const int first = blockIdx.x * rows_per_thread * blockDim.y + threadIdx.y;
#pragma unroll 1
  for (int i = 0; i < rows_per_thread; i++) {
    const int row = first + i * blockDim.y;
    if (row >= count) return;
    const int image = row / (oh * ow), y = row / ow % oh * stride - top, x = row % ow * stride - left;
    float sum[N];
#pragma unroll
    for (int k = 0; k < N; k++) sum[k] = bias[c + k];
#pragma unroll 1
    for (int ky = 0; ky < kh; ky++) {
      if (y + ky < 0 || y + ky >= h) continue;
#pragma unroll 1
      for (int kx = 0; kx < kw; kx++) {
        if (x + kx < 0 || x + kx >= w) continue;
        float v[N], of[N];
        load(v, in.at((image * h + y + ky) * w + x + kx, c));
        load(of, weights.at(ky * kw + kx, c));
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] += of[k] * v[k];
      }
    }
    store(out.at(row, c), sum);
  }
}

#define CONV(T)                                                                                                                                    \
  (View<T> out, View<const T> in, View<const T> weights, const float *bias, int count, int cols, int h, int w, int oh, int ow, int kh, int kw, \
   int stride, int top, int left)
VARIANTS(depthwise_conv, conv, CONV, (out, in, weights, bias, count, cols, h, w, oh, ow, kh, kw, stride, top, left))
