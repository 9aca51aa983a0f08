// The table of gram.go. Products of two floats are exact in float64, and each sum has the
// order that it has there: four lanes, and then these.
#include "fluxion.cuh"

constexpr int side = 16, depth = 32;

// A block is side × side products; side × depth values of each set pass through shared
// memory at a time.
extern "C" __global__ void __launch_bounds__(side *side) gram_products(double *table, const float *x, const float *y, uint32_t n, uint32_t m, uint32_t size) {
  __shared__ float xs[side][depth + 1], ys[side][depth + 1];
  const uint32_t row = blockIdx.y * side, column = blockIdx.x * side;
  const uint32_t i = row + threadIdx.y, j = column + threadIdx.x;
  double sums[4] = {};
  for (uint32_t from = 0; from < size; from += depth) {
#pragma unroll
    for (uint32_t e = threadIdx.y * side + threadIdx.x; e < side * depth; e += side * side) {
      const uint32_t r = e / depth, c = e % depth, v = from + c;
      xs[r][c] = row + r < n && v < size ? x[uint64_t(row + r) * size + v] : 0;
      ys[r][c] = column + r < m && v < size ? y[uint64_t(column + r) * size + v] : 0;
    }
    __syncthreads();
#pragma unroll
    for (int c = 0; c < depth; c++) sums[c % 4] = fma(double(xs[threadIdx.y][c]), double(ys[threadIdx.x][c]), sums[c % 4]);
    __syncthreads();
  }
  if (i < n && j < m) table[uint64_t(i) * (m + 1) + j] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// The squares of rows: four threads each, one a lane; number step of a row is to lie at
// table[first + step·row], and the corner behind all is 0.
extern "C" __global__ void __launch_bounds__(128) gram_squares(double *table, const float *x, uint32_t n, uint32_t size, uint64_t first, uint64_t step) {
  const uint32_t row = blockIdx.x * 32 + threadIdx.x / 4;
  double sum = 0;
  if (row < n) {
#pragma unroll 4
    for (uint32_t v = threadIdx.x % 4; v < size; v += 4) {
      const double e = x[uint64_t(row) * size + v];
      sum = fma(e, e, sum);
    }
  }
  sum += __shfl_xor_sync(0xffffffffu, sum, 1);
  sum += __shfl_xor_sync(0xffffffffu, sum, 2);
  if (threadIdx.x % 4 == 0 && row <= n) table[first + step * row] = row < n ? sum : 0;
}
