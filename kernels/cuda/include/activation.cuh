// Functions of one number: ACTIVATION(name) makes y = value(x) and, as name_grad, dx = dy slope(x), of device functions
// value and slope that stand before it. kernels/activation binds them.
#pragma once
#include "tiles.cuh"

constexpr int rows_per_thread = 4; // bind.go's rowsPerThread

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

#define ACTIVATION(name)                                                                            \
  template <typename T, int N>                                                                      \
  __device__ inline void activate(View<T> y, View<const T> x, int rows, int cols) {                 \
    map<T, N, 1>(y, x, {}, rows, cols, [](float x) { return value(x); });                           \
  }                                                                                                 \
  template <typename T, int N>                                                                      \
  __device__ inline void grad(View<T> dx, View<const T> x, View<const T> dy, int rows, int cols) {  \
    map<T, N, 2>(dx, x, dy, rows, cols, [](float x) { return slope(x); });                          \
  }                                                                                                 \
  VARIANTS(name, activate, ACTIVATE, (y, x, rows, cols))                                            \
  VARIANTS(name##_grad, grad, GRAD, (dx, x, dy, rows, cols))
#define ACTIVATE(T) (View<T> y, View<const T> x, int rows, int cols)
#define GRAD(T) (View<T> dx, View<const T> x, View<const T> dy, int rows, int cols)
