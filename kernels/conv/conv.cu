// Convolutions of images that are enlarged twice, nearest neighbour: their 3×3 weights meet copies of at
// most 2×2 pixels of the small image, so weights that meet the same pixel are summed first (upsampled.go).
#include "fluxion.cuh"

// Along an axis the sums are g₀, g₁+g₂ for the even pixel and g₀+g₁, g₂ for the odd one. The forward pass has
// 2×2 taps for each parity of rows and columns, the gradient of the image 4×4, g₂, g₁+g₂, g₀+g₁, g₀ along an axis.
__device__ inline int place(int y, int x, int backward) {
  const auto turned = [](int k) { return k == 0 || k == 3 ? 3 - k : k; };
  return backward ? turned(y) * 4 + turned(x) : (y / 2 * 2 + x / 2) * 4 + y % 2 * 2 + x % 2;
}

__device__ inline void sums(const float (&g)[3], float (&f)[4]) {
  f[0] = g[0], f[1] = g[1] + g[2], f[2] = g[0] + g[1], f[3] = g[2];
}

// fold makes 4×4 sums of 3×3 weights, each of n numbers: a thread for one of them.
template <typename T>
__device__ inline void fold(T *to, const T *w, uint32_t n, int backward) {
  const uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= n) return;
  float down[3][4]; // by column, summed along y
#pragma unroll
  for (int x = 0; x < 3; x++) {
    float g[3];
#pragma unroll
    for (int y = 0; y < 3; y++) g[y] = widen(w[int64_t(y * 3 + x) * n + i]);
    sums(g, down[x]);
  }
#pragma unroll
  for (int y = 0; y < 4; y++) {
    const float g[3] = {down[0][y], down[1][y], down[2][y]};
    float f[4];
    sums(g, f);
#pragma unroll
    for (int x = 0; x < 4; x++) to[int64_t(place(y, x, backward)) * n + i] = narrow<T>(f[x]);
  }
}

extern "C" __global__ void __launch_bounds__(256) conv_fold_f32(float *to, const float *w, uint32_t n, int backward) { fold(to, w, n, backward); }
extern "C" __global__ void __launch_bounds__(256) conv_fold_bf16(bf16 *to, const bf16 *w, uint32_t n, int backward) { fold(to, w, n, backward); }

// conv_unfold makes gradients of 3×3 weights (in × out) of those of the sums, 4×4 of out × in: each
// weight is part of two sums along an axis. A block turns 32×32 of them around.
extern "C" __global__ void __launch_bounds__(1024) conv_unfold_f32(float *to, const float *from, uint32_t in, uint32_t out) {
  __shared__ float tile[32][33];
  const uint32_t i = blockIdx.x * 32 + threadIdx.x, o = blockIdx.y * 32 + threadIdx.y;
  const bool there = i < in && o < out;
  float f[4][4];
#pragma unroll
  for (int t = 0; t < 16; t++) f[t / 4][t % 4] = there ? from[(int64_t(t) * out + o) * in + i] : 0;
  const uint32_t row = blockIdx.x * 32 + threadIdx.y, column = blockIdx.y * 32 + threadIdx.x;
#pragma unroll
  for (int k = 0; k < 9; k++) {
    const int y = 2 - k / 3, x = 2 - k % 3;
    __syncthreads();
    tile[threadIdx.y][threadIdx.x] = f[y][x] + f[y][x + 1] + f[y + 1][x] + f[y + 1][x + 1];
    __syncthreads();
    if (row < in && column < out) to[(int64_t(k) * in + row) * out + column] = tile[threadIdx.x][threadIdx.y];
  }
}
