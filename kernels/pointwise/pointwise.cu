// Operations that treat every element alone; cuda.go binds them.
#include "silu.cuh"
#include "tiles.cuh"

constexpr int rows_per_thread = 4; // cuda.go's rowsPerThread

template <typename T, int N>
struct Pair {
  Packed<T, N> a, b;
};

// map writes f(a) or, with two inputs, f(a, b).
template <typename T, int N, int Inputs, typename F>
__device__ inline void map(View<T> y, View<const T> a, View<const T> b, int rows, int cols, F f) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<rows_per_thread, Pair<T, N>>(first + threadIdx.y, min(rows, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Pair<T, N> &read, int r) {
        read.a.read(a.at(r, c));
        if constexpr (Inputs == 2) read.b.read(b.at(r, c));
      },
      [&](const Pair<T, N> &read, int r) {
        float u[N], v[N] = {};
        read.a.unpack(u);
        if constexpr (Inputs == 2) read.b.unpack(v);
#pragma unroll
        for (int i = 0; i < N; i++) u[i] = f(u[i], v[i]);
        store(y.at(r, c), u);
      });
}

template <typename T, int N>
__device__ inline void add(View<T> y, View<const T> a, View<const T> b, int rows, int cols) {
  map<T, N, 2>(y, a, b, rows, cols, [](float a, float b) { return a + b; });
}

template <typename T, int N>
__device__ inline void affine(View<T> y, View<const T> x, int rows, int cols, float scale, float shift) {
  map<T, N, 1>(y, x, {}, rows, cols, [=](float x, float) { return scale * x + shift; });
}

template <typename T, int N>
__device__ inline void silu(View<T> y, View<const T> x, int rows, int cols) {
  map<T, N, 1>(y, x, {}, rows, cols, [](float x, float) { return silu(x); });
}

template <typename T, int N>
__device__ inline void silu_grad(View<T> dx, View<const T> x, View<const T> dy, int rows, int cols) {
  map<T, N, 2>(dx, x, dy, rows, cols, [](float x, float dy) { return dy * silu_slope(x); });
}

#define BINARY(T) (View<T> y, View<const T> a, View<const T> b, int rows, int cols)
#define UNARY(T) (View<T> y, View<const T> x, int rows, int cols)
#define AFFINE(T) (View<T> y, View<const T> x, int rows, int cols, float scale, float shift)
VARIANTS(pointwise_add, add, BINARY, (y, a, b, rows, cols))
VARIANTS(pointwise_affine, affine, AFFINE, (y, x, rows, cols, scale, shift))
VARIANTS(pointwise_silu, silu, UNARY, (y, x, rows, cols))
VARIANTS(pointwise_silu_grad, silu_grad, BINARY, (y, a, b, rows, cols))

// add_per_image adds vector n of t to every pixel of image n. The vectors of the
// block's images lie in shared memory, so that they are read once a block.
template <typename T, int N>
__device__ inline void add_per_image(View<T> y, View<const T> x, View<const float> t, Images s, int cols) {
  extern __shared__ __align__(16) float vectors[]; // of each image: the block's columns
  const int width = blockDim.x * N, from = blockIdx.y * width, c = column<N>();
  for (int i = 0; i < s.count(); i++) {
    for (int j = thread(); j < width && from + j < cols; j += threads()) vectors[i * width + j] = *t.at(s.first() + i, from + j);
  }
  __syncthreads();
  if (c >= cols) return;
  for (int i = 0; i < s.count(); i++) {
    float add[N];
    load(add, vectors + i * width + threadIdx.x * N);
    down<rows_per_thread, Packed<T, N>>(s.row(i) + threadIdx.y, s.end(i), blockDim.y, [&](Packed<T, N> &read, int r) { read.read(x.at(r, c)); },
        [&](const Packed<T, N> &read, int r) {
          float v[N];
          read.unpack(v);
#pragma unroll
          for (int k = 0; k < N; k++) v[k] += add[k];
          store(y.at(r, c), v);
        });
  }
}

#define PER_IMAGE(T) (View<T> y, View<const T> x, View<const float> t, Images images, int cols)
VARIANTS(pointwise_add_per_image, add_per_image, PER_IMAGE, (y, x, t, images, cols))

// over_per_image divides every pixel of an image by its number of t.
template <typename T, int N>
__device__ inline void over_per_image(View<T> y, View<const T> x, const float *t, int rows, int cols, int pixels) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<rows_per_thread, Packed<T, N>>(first + threadIdx.y, min(rows, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Packed<T, N> &read, int r) { read.read(x.at(r, c)); },
      [&](const Packed<T, N> &read, int r) {
        float v[N];
        read.unpack(v);
        const float by = t[r / pixels];
#pragma unroll
        for (int i = 0; i < N; i++) v[i] /= by;
        store(y.at(r, c), v);
      });
}

#define OVER(T) (View<T> y, View<const T> x, const float *t, int rows, int cols, int pixels)
VARIANTS(pointwise_over_per_image, over_per_image, OVER, (y, x, t, rows, cols, pixels))

// copy moves words as they are.
template <typename T>
__device__ inline void copy(View<T> y, View<const T> x, int rows, int words) {
  const int c = column<1>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= words) return;
  down<rows_per_thread, T>(first + threadIdx.y, min(rows, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](T &v, int r) { v = *x.at(r, c); }, [&](T &v, int r) { *y.at(r, c) = v; });
}

#define COPY(BYTES, T) \
  extern "C" __global__ void __launch_bounds__(block_threads) pointwise_copy_##BYTES(View<T> y, View<const T> x, int rows, int words) { copy<T>(y, x, rows, words); }
COPY(2, uint16_t)
COPY(4, uint32_t)
COPY(16, uint4)
