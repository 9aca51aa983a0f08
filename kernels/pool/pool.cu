// Largest values and means of windows of an image, and the gradient of means; cuda.go
// binds them. Every thread makes its own numbers, in a fixed order.
#include "tiles.cuh"

constexpr int rows_per_thread = 2; // cuda.go's rowsPerThread

struct Size {
  int h, w, oh, ow, side, stride, pad;
};

// Window is the pixels of a window that lie inside of the image.
struct Window {
  int top, bottom, left, right;

  __device__ Window(const Size &z, int y, int x) {
    top = y * z.stride - z.pad;
    left = x * z.stride - z.pad;
    bottom = min(top + z.side, z.h);
    right = min(left + z.side, z.w);
    top = max(top, 0);
    left = max(left, 0);
  }
  __device__ int pixels() const { return (bottom - top) * (right - left); }
};

// rows visits the rows of this thread with their image, row and column.
template <typename Visit>
__device__ inline void rows(int count, int h, int w, Visit visit) {
  const int first = blockIdx.x * rows_per_thread * blockDim.y + threadIdx.y;
#pragma unroll 1
  for (int i = 0; i < rows_per_thread; i++) {
    const int row = first + i * blockDim.y;
    if (row < count) visit(row, row / (h * w), row / w % h, row % w);
  }
}

// larger is the larger of both, or NaN if one is.
__device__ inline float larger(float a, float b) { return a > b || a != a ? a : b; }

template <typename T, int N>
__device__ inline void pool_max(View<T> out, View<const T> in, int count, int cols, Size z) {
  const int c = column<N>();
  if (c >= cols) return;
  rows(count, z.oh, z.ow, [&](int row, int image, int oy, int ox) {
    const Window window(z, oy, ox);
    float most[N];
    load(most, in.at((image * z.h + window.top) * z.w + window.left, c));
#pragma unroll 1
    for (int y = window.top; y < window.bottom; y++) {
#pragma unroll 1
      for (int x = window.left; x < window.right; x++) {
        float v[N];
        load(v, in.at((image * z.h + y) * z.w + x, c));
#pragma unroll
        for (int k = 0; k < N; k++) most[k] = larger(most[k], v[k]);
      }
    }
    store(out.at(row, c), most);
  });
}

template <typename T, int N>
__device__ inline void pool_mean(View<T> out, View<const T> in, int count, int cols, Size z) {
  const int c = column<N>();
  if (c >= cols) return;
  rows(count, z.oh, z.ow, [&](int row, int image, int oy, int ox) {
    const Window window(z, oy, ox);
    float sum[N] = {};
#pragma unroll 1
    for (int y = window.top; y < window.bottom; y++) {
#pragma unroll 1
      for (int x = window.left; x < window.right; x++) {
        float v[N];
        load(v, in.at((image * z.h + y) * z.w + x, c));
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] += v[k];
      }
    }
    const float share = 1.0f / float(window.pixels());
#pragma unroll
    for (int k = 0; k < N; k++) sum[k] *= share;
    store(out.at(row, c), sum);
  });
}

// touching visits the windows that have a pixel, in order.
template <typename Visit>
__device__ inline void touching(const Size &z, int y, int x, Visit visit) {
  const int top = max(0, (y + z.pad - z.side + z.stride) / z.stride), bottom = min(z.oh - 1, (y + z.pad) / z.stride);
  const int left = max(0, (x + z.pad - z.side + z.stride) / z.stride), right = min(z.ow - 1, (x + z.pad) / z.stride);
#pragma unroll 1
  for (int oy = top; oy <= bottom; oy++) {
#pragma unroll 1
    for (int ox = left; ox <= right; ox++) {
      if (y + z.pad - oy * z.stride < z.side && x + z.pad - ox * z.stride < z.side) visit(oy, ox);
    }
  }
}

template <typename T, int N>
__device__ inline void pool_mean_grad(View<T> dx, View<const T> dy, int count, int cols, Size z) {
  const int c = column<N>();
  if (c >= cols) return;
  rows(count, z.h, z.w, [&](int row, int image, int y, int x) {
    float sum[N] = {};
    touching(z, y, x, [&](int oy, int ox) {
      const float share = 1.0f / float(Window(z, oy, ox).pixels());
      float v[N];
      load(v, dy.at((image * z.oh + oy) * z.ow + ox, c));
#pragma unroll
      for (int k = 0; k < N; k++) sum[k] = __fadd_rn(sum[k], __fmul_rn(share, v[k]));
    });
    store(dx.at(row, c), sum);
  });
}

#define SIZE int count, int cols, int h, int w, int oh, int ow, int side, int stride, int pad
#define POOL(T) (View<T> out, View<const T> in, SIZE)
#define OF (Size{h, w, oh, ow, side, stride, pad})
VARIANTS(pool_max, pool_max, POOL, (out, in, count, cols, OF))
VARIANTS(pool_mean, pool_mean, POOL, (out, in, count, cols, OF))
VARIANTS(pool_mean_grad, pool_mean_grad, POOL, (out, in, count, cols, OF))
