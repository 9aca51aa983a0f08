// x·Φ(x) and its gradient; bind.go binds them, gelu.go has the formulas.
#include "tiles.cuh"

constexpr int rows_per_thread = 4; // bind.go's rowsPerThread

// phi is the normal distribution Φ.
__device__ inline float phi(float x) { return 0.5f * erfcf(-0.70710678f * x); }

// slope is the derivative of x·Φ(x); 1/√(2π) = 0.3989….
__device__ inline float slope(float x) { return phi(x) + x * 0.39894228f * expf(-0.5f * x * x); }

template <typename T, int N>
struct Pair {
  Packed<T, N> x, dy;
};

// map writes f(x) or, with two inputs, f(x)·dy.
template <typename T, int N, int Inputs, typename F>
__device__ inline void map(View<T> y, View<const T> x, View<const T> dy, int rows, int cols, F f) {
  const int c = column<N>(), first = blockIdx.x * rows_per_thread * blockDim.y;
  if (c >= cols) return;
  down<1, Pair<T, N>>(first + threadIdx.y, min(rows, first + rows_per_thread * int(blockDim.y)), blockDim.y,
      [&](Pair<T, N> &read, int r) {
        read.x.read(x.at(r, c));
        if constexpr (Inputs == 2) read.dy.read(dy.at(r, c));
      },
      [&](const Pair<T, N> &read, int r) {
        float u[N], v[N];
        read.x.unpack(u);
        if constexpr (Inputs == 2) read.dy.unpack(v);
#pragma unroll
        for (int i = 0; i < N; i++) u[i] = Inputs == 2 ? f(u[i]) * v[i] : f(u[i]);
        store(y.at(r, c), u);
      });
}

template <typename T, int N>
__device__ inline void gelu(View<T> y, View<const T> x, int rows, int cols) {
  map<T, N, 1>(y, x, {}, rows, cols, [](float x) { return x * phi(x); });
}

template <typename T, int N>
__device__ inline void grad(View<T> dx, View<const T> x, View<const T> dy, int rows, int cols) {
  map<T, N, 2>(dx, x, dy, rows, cols, [](float x) { return slope(x); });
}

#define GELU(T) (View<T> y, View<const T> x, int rows, int cols)
#define GRAD(T) (View<T> dx, View<const T> x, View<const T> dy, int rows, int cols)
VARIANTS(gelu, gelu, GELU, (y, x, rows, cols))
VARIANTS(gelu_grad, grad, GRAD, (dx, x, dy, rows, cols))
