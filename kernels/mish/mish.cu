// x·tanh(ln(1 + eˣ)) and its gradient; bind.go binds them, mish.go has the formulas.
#include "tiles.cuh"

constexpr int rows_per_thread = 4; // bind.go's rowsPerThread

// gate is tanh(ln(1 + exp(x))), of which rest is what it lacks to 1: neither cancels.
__device__ inline float gate(float x, float &rest) {
  const float u = expf(-fabsf(x)), one = x >= 0 ? 2 * u * u : 2, part = x >= 0 ? 1 + 2 * u : u * u + 2 * u;
  const float whole = part + one;
  rest = one / whole;
  return part / whole;
}

__device__ inline float value(float x) {
  float rest;
  return x * gate(x, rest);
}

__device__ inline float slope(float x) {
  float rest;
  const float y = gate(x, rest), u = expf(-fabsf(x));
  return y + x * rest * (1 + y) * (x >= 0 ? 1 : u) / (1 + u);
}

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
__device__ inline void mish(View<T> y, View<const T> x, int rows, int cols) {
  map<T, N, 1>(y, x, {}, rows, cols, [](float x) { return value(x); });
}

template <typename T, int N>
__device__ inline void grad(View<T> dx, View<const T> x, View<const T> dy, int rows, int cols) {
  map<T, N, 2>(dx, x, dy, rows, cols, [](float x) { return slope(x); });
}

#define Mish(T) (View<T> y, View<const T> x, int rows, int cols)
#define GRAD(T) (View<T> dx, View<const T> x, View<const T> dy, int rows, int cols)
VARIANTS(mish, mish, Mish, (y, x, rows, cols))
VARIANTS(mish_grad, grad, GRAD, (dx, x, dy, rows, cols))
