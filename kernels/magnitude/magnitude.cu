// Operators that preserve magnitudes; the Go files have the formulas.
#include "philox.cuh"
#include "tiles.cuh"

constexpr int rows_per_thread = 4; // scale.go's rowsPerThread
constexpr float epsilon = 1e-4f;   // magnitude.go's Epsilon

template <typename T, int N>
__device__ inline void scale(View<T> y, View<const T> x, const float *t, int rows, int cols, int pixels, int image, int channel) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<2, Packed<T, N>>(first + threadIdx.y, min(rows, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Packed<T, N> &read, int r) { read.read(x.at(r, c)); },
      [&](const Packed<T, N> &read, int r) {
        float v[N];
        read.unpack(v);
        const float *by = t + int64_t(r / pixels) * image + c * channel;
#pragma unroll
        for (int i = 0; i < N; i++) v[i] *= by[i * channel];
        store(y.at(r, c), v);
      });
}

#define SCALE(T) (View<T> y, View<const T> x, const float *t, int rows, int cols, int pixels, int image, int channel)
VARIANTS(magnitude_scale, scale, SCALE, (y, x, t, rows, cols, pixels, image, channel))

template <typename T, int N>
struct Pair {
  Packed<T, N> a, b;
};

// map writes f(a, b).
template <typename T, int N, typename F>
__device__ inline void map(View<T> y, View<const T> a, View<const T> b, int rows, int cols, F f) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<2, Pair<T, N>>(first + threadIdx.y, min(rows, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Pair<T, N> &read, int r) {
        read.a.read(a.at(r, c));
        read.b.read(b.at(r, c));
      },
      [&](const Pair<T, N> &read, int r) {
        float u[N], v[N];
        read.a.unpack(u);
        read.b.unpack(v);
#pragma unroll
        for (int i = 0; i < N; i++) u[i] = f(u[i], v[i]);
        store(y.at(r, c), u);
      });
}

template <typename T, int N>
__device__ inline void sum(View<T> y, View<const T> a, View<const T> b, int rows, int cols, float p, float q, float limit) {
  map<T, N>(y, a, b, rows, cols, [=](float a, float b) {
    const float s = p * a + q * b;
    return s < -limit ? -limit : s > limit ? limit : s; // of NaN itself
  });
}

template <typename T, int N>
__device__ inline void sum_grad(View<T> dx, View<const T> y, View<const T> dy, int rows, int cols, float factor, float limit) {
  map<T, N>(dx, y, dy, rows, cols, [=](float y, float dy) { return y > -limit && y < limit ? factor * dy : 0.0f; });
}

#define SUM(T) (View<T> y, View<const T> a, View<const T> b, int rows, int cols, float p, float q, float limit)
#define SUM_GRAD(T) (View<T> dx, View<const T> y, View<const T> dy, int rows, int cols, float factor, float limit)
VARIANTS(magnitude_sum, sum, SUM, (y, a, b, rows, cols, p, q, limit))
VARIANTS(magnitude_sum_grad, sum_grad, SUM_GRAD, (dx, y, dy, rows, cols, factor, limit))

// products writes, for each part of each image, the sums of x·y over its rows.
template <typename T, int N>
__device__ inline void products(View<const T> x, View<const T> y, Images s, float *out, int cols) {
  extern __shared__ __align__(16) float sums[]; // [blockDim.y][width]
  const int width = blockDim.x * N, j = threadIdx.x * N, c = column<N>(), from = c - j;
#pragma unroll 1
  for (int i = 0; i < s.count(); i++) {
    if (c < cols) {
      float total[N] = {};
      down<2, Pair<T, N>>(s.row(i) + threadIdx.y, s.end(i), blockDim.y,
          [&](Pair<T, N> &read, int r) {
            read.a.read(x.at(r, c));
            read.b.read(y.at(r, c));
          },
          [&](const Pair<T, N> &read, int) {
            float u[N], v[N];
            read.a.unpack(u);
            read.b.unpack(v);
#pragma unroll
            for (int k = 0; k < N; k++) total[k] += u[k] * v[k];
          });
      store(sums + threadIdx.y * width + j, total);
    }
    __syncthreads();
    float *to = out + ((s.first() + i) * s.parts + s.part()) * cols + from;
#pragma unroll 1
    for (int k = thread(); k < width && from + k < cols; k += threads()) {
      float total = 0;
#pragma unroll 1
      for (int y = 0; y < blockDim.y; y++) total += sums[y * width + k];
      to[k] = total;
    }
    __syncthreads();
  }
}

#define PRODUCTS(T) (View<const T> x, View<const T> y, Images images, float *out, int cols)
VARIANTS(magnitude_products, products, PRODUCTS, (x, y, images, out, cols))

// Pixels: a warp has a group of channels of a pixel.
constexpr int warps = block_threads / 32;

template <typename T>
__device__ inline void pixel(View<T> y, View<const T> x, int rows, int cols, int groups) {
  const int at = blockIdx.x * warps + threadIdx.y, r = at / groups, n = cols / groups, from = at % groups * n;
  if (r >= rows) return;
  const T *read = x.at(r, from);
  float squares = 0;
  for (int i = threadIdx.x; i < n; i += 32) {
    const float v = widen(read[i]);
    squares += v * v;
  }
  const float factor = 1.0f / (epsilon + sqrtf(warp_sum(squares) / n));
  T *to = y.at(r, from);
  for (int i = threadIdx.x; i < n; i += 32) to[i] = narrow<T>(factor * widen(read[i]));
}

template <typename T>
__device__ inline void pixel_grad(View<T> dx, View<const T> x, View<const T> dy, int rows, int cols, int groups) {
  const int at = blockIdx.x * warps + threadIdx.y, r = at / groups, n = cols / groups, from = at % groups * n;
  if (r >= rows) return;
  const T *read = x.at(r, from), *given = dy.at(r, from);
  float squares = 0, products = 0;
  for (int i = threadIdx.x; i < n; i += 32) {
    const float v = widen(read[i]);
    squares += v * v;
    products += v * widen(given[i]);
  }
  const float size = sqrtf(warp_sum(squares) / n), factor = 1.0f / (epsilon + size);
  const float slope = size > 0.0f ? warp_sum(products) * factor * factor / (n * size) : 0.0f;
  T *to = dx.at(r, from);
  for (int i = threadIdx.x; i < n; i += 32) to[i] = narrow<T>(factor * widen(given[i]) - slope * widen(read[i]));
}

#define PIXEL(T, SUFFIX) \
  extern "C" __global__ void __launch_bounds__(block_threads) magnitude_pixel_##SUFFIX(View<T> y, View<const T> x, int rows, int cols, int groups) { pixel<T>(y, x, rows, cols, groups); } \
  extern "C" __global__ void __launch_bounds__(block_threads) magnitude_pixel_grad_##SUFFIX(View<T> dx, View<const T> x, View<const T> dy, int rows, int cols, int groups) { pixel_grad<T>(dx, x, dy, rows, cols, groups); }
PIXEL(float, f32)
PIXEL(bf16, bf16)

// Weights: a block has 32 columns, all rows of them.
constexpr int weight_rows = 32; // threads down a column; weight.go's weightRows

// column_sum adds x over the threads of a column, in order; all of them get the same bits.
__device__ inline float column_sum(float x, float (&shared)[weight_rows][32]) {
  __syncthreads();
  shared[threadIdx.y][threadIdx.x] = x;
  __syncthreads();
  float total = 0;
  for (int i = 0; i < weight_rows; i++) total += shared[i][threadIdx.x];
  return total;
}

// It may work in place.
extern "C" __global__ void __launch_bounds__(32 * weight_rows) magnitude_weight(View<float> y, View<const float> w, int rows, int cols, int counted, float factor) {
  __shared__ float shared[weight_rows][32];
  const int c = blockIdx.x * 32 + threadIdx.x;
  float squares = 0;
  for (int r = threadIdx.y; r < counted && c < cols; r += weight_rows) {
    const float v = *w.at(r, c);
    squares += v * v;
  }
  const float by = factor / (epsilon + sqrtf(column_sum(squares, shared) / counted));
  for (int r = threadIdx.y; r < rows && c < cols; r += weight_rows) *y.at(r, c) = by * *w.at(r, c);
}

extern "C" __global__ void __launch_bounds__(32 * weight_rows) magnitude_weight_grad(View<float> dw, View<const float> w, View<const float> dy, int rows, int cols, int counted, float factor) {
  __shared__ float shared[weight_rows][32];
  const int c = blockIdx.x * 32 + threadIdx.x;
  float squares = 0, products = 0;
  for (int r = threadIdx.y; r < rows && c < cols; r += weight_rows) {
    const float v = *w.at(r, c);
    if (r < counted) squares += v * v;
    products += v * *dy.at(r, c);
  }
  squares = column_sum(squares, shared);
  products = column_sum(products, shared);
  const float size = sqrtf(squares / counted), by = 1.0f / (epsilon + size);
  const float slope = size > 0.0f ? products * by * by / (counted * size) : 0.0f;
  for (int r = threadIdx.y; r < rows && c < cols; r += weight_rows) {
    *dw.at(r, c) = factor * (by * *dy.at(r, c) - (r < counted ? slope * *w.at(r, c) : 0.0f));
  }
}

template <typename T, int N>
__device__ inline void fill(View<T> y, int rows, int cols, float value) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  float v[N];
#pragma unroll
  for (int i = 0; i < N; i++) v[i] = value;
  const int end = min(rows, first + rows_per_thread * int(blockDim.y));
  for (int r = first + threadIdx.y; r < end; r += blockDim.y) store(y.at(r, c), v);
}

#define FILL(T) (View<T> y, int rows, int cols, float value)
VARIANTS(magnitude_fill, fill, FILL, (y, rows, cols, value))

// phases: a thread has a frequency. An angle is found in float64, as a fraction of a turn.
extern "C" __global__ void __launch_bounds__(128) magnitude_phases(View<float> y, const float *times, const float *frequencies, const float *phases, int cols) {
  const int k = blockIdx.y * 128 + threadIdx.x;
  if (k >= cols) return;
  const double turn = (double(times[blockIdx.x]) * double(frequencies[k]) + double(phases[k])) * 0.15915494309189535; // 1/2π
  const double fraction = (turn - floor(turn)) * 0x1p32;
  float sin, cos;
  philox::sincos(sin, cos, uint32_t(__double2ull_rn(fraction)));
  *y.at(blockIdx.x, k) = 1.41421356f * cos;
}
