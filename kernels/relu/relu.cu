// Numbers between 0 and a limit, and the gradient; bind.go binds them.
#include "tiles.cuh"

constexpr int rows_per_thread = 4; // bind.go's rowsPerThread

template <typename T, int N>
__device__ inline void clip(View<T> y, View<const T> x, int rows, int cols, float limit) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<rows_per_thread, Packed<T, N>>(first + threadIdx.y, min(rows, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Packed<T, N> &read, int r) { read.read(x.at(r, c)); },
      [&](const Packed<T, N> &read, int r) {
        float v[N];
        read.unpack(v);
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = v[i] < 0.0f ? 0.0f : v[i] > limit ? limit : v[i]; // of NaN itself
        store(y.at(r, c), v);
      });
}

template <typename T, int N>
struct Pair {
  Packed<T, N> x, dy;
};

template <typename T, int N>
__device__ inline void grad(View<T> dx, View<const T> x, View<const T> dy, int rows, int cols, float limit) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<rows_per_thread, Pair<T, N>>(first + threadIdx.y, min(rows, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Pair<T, N> &read, int r) {
        read.x.read(x.at(r, c));
        read.dy.read(dy.at(r, c));
      },
      [&](const Pair<T, N> &read, int r) {
        float u[N], v[N];
        read.x.unpack(u);
        read.dy.unpack(v);
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = u[i] > 0.0f && u[i] < limit ? v[i] : 0.0f;
        store(dx.at(r, c), v);
      });
}

#define CLIP(T) (View<T> y, View<const T> x, int rows, int cols, float limit)
#define GRAD(T) (View<T> dx, View<const T> x, View<const T> dy, int rows, int cols, float limit)
VARIANTS(relu_clip, clip, CLIP, (y, x, rows, cols, limit))
VARIANTS(relu_grad, grad, GRAD, (dx, x, dy, rows, cols, limit))
