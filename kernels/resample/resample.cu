// Doubling and halving of images, 2x2 pixels for one; cuda.go binds them.
#include "tiles.cuh"

constexpr int rows_per_thread = 4; // pixels of the smaller images; cuda.go's rowsPerThread

// Square is the addresses of the 2x2 pixels that belong to a pixel of the smaller images.
template <typename T>
struct Square {
  T *above, *below;
  int64_t pitch;

  __device__ Square(View<T> large, int small, int width, int c) : pitch(large.pitch) {
    const int y = small / width, x = small - y * width; // y over the rows of all images
    above = large.at(4 * y * width + 2 * x, c);
    below = above + 2 * width * pitch;
  }
  __device__ T *at(int i) const { return (i < 2 ? above : below) + (i % 2) * pitch; }
};

// spread writes scale times each pixel to its square.
template <typename T, int N>
__device__ inline void spread(View<T> large, View<const T> small, int pixels, int width, int cols, float scale) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<rows_per_thread, Packed<T, N>>(first + threadIdx.y, min(pixels, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Packed<T, N> &read, int p) { read.read(small.at(p, c)); },
      [&](const Packed<T, N> &read, int p) {
        float v[N];
        read.unpack(v);
#pragma unroll
        for (int k = 0; k < N; k++) v[k] *= scale;
        const Square<T> square(large, p, width, c);
#pragma unroll
        for (int i = 0; i < 4; i++) store(square.at(i), v);
      });
}

template <typename T, int N>
struct Four {
  Packed<T, N> v[4];
};

// gather writes scale times the sum of each square.
template <typename T, int N>
__device__ inline void gather(View<T> small, View<const T> large, int pixels, int width, int cols, float scale) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<2, Four<T, N>>(first + threadIdx.y, min(pixels, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Four<T, N> &read, int p) {
        const Square<const T> square(large, p, width, c);
#pragma unroll
        for (int i = 0; i < 4; i++) read.v[i].read(square.at(i));
      },
      [&](const Four<T, N> &read, int p) {
        float sum[N] = {};
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float v[N];
          read.v[i].unpack(v);
#pragma unroll
          for (int k = 0; k < N; k++) sum[k] += v[k];
        }
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] *= scale;
        store(small.at(p, c), sum);
      });
}

#define RESAMPLE(T) (View<T> out, View<const T> in, int pixels, int width, int cols, float scale)
VARIANTS(resample_spread, spread, RESAMPLE, (out, in, pixels, width, cols, scale))
VARIANTS(resample_gather, gather, RESAMPLE, (out, in, pixels, width, cols, scale))
