// Products in float32 on the ordinary units: never TF32.
#include "product.cuh"

// ScalarTile is Rows×64 of the result, Rows/16×8 for each thread. Threads lie 16 down
// and 8 across; the eight lanes that shared memory serves at a time are one row of
// them, so that a is broadcast and b is contiguous.
template <int Rows>
struct ScalarTile {
  static constexpr int M = Rows, N = 64, own = M / 16, result_bytes = 0, groups = 1;
  static constexpr int batch = 2; // chunks of four columns that are written together
  static constexpr bool spread = true, measures = false;
  static constexpr int sum_steps = 32; // 512 products meet in one register before they join the rest

  float sum[own][8] = {}, total[own][8] = {};
  int summed = 0;

  __device__ static void sync() { __syncthreads(); }
  __device__ static int down() { return threadIdx.x / 8; }
  __device__ static int across() { return threadIdx.x % 8; }

  // row of the tile that is row i of this thread.
  template <bool DeepA>
  __device__ static int row(int i) { return DeepA ? down() + 16 * i : 4 * down() + i % 4 + i / 4 * 64; }
  __device__ static int column(int j) { return 4 * across() + j % 4 + j / 4 * 32; }

  template <bool DeepA, bool DeepB>
  __device__ void multiply(uint32_t a, uint32_t b) {
#pragma unroll DeepB ? 1 : 4
    for (int chunk = 0; chunk < 4; chunk++) { // of four k
      float x[own][4];
      if constexpr (DeepA) {
#pragma unroll
        for (int i = 0; i < own; i++) shared_load(x[i], a + deep_offset(down(), chunk) + i * 16 * 64);
      }
      if constexpr (DeepB) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
          float y[4];
          shared_load(y, b + deep_offset(across(), chunk) + (j / 4 * 8 + j % 4 * 16) * 64);
#pragma unroll
          for (int k = 0; k < 4; k++) {
#pragma unroll
            for (int i = 0; i < own; i++) sum[i][j] = fmaf(x[i][k], y[k], sum[i][j]);
          }
        }
      } else {
#pragma unroll
        for (int k = 0; k < 4; k++) {
          const int r = chunk * 4 + k;
          float y[2][4];
#pragma unroll
          for (int j = 0; j < 2; j++) shared_load(y[j], b + wide_offset<N * 4>(r, across() + j * 8));
          if constexpr (!DeepA) {
#pragma unroll
            for (int i = 0; i < own / 4; i++) shared_load(x[i], a + wide_offset<M * 4>(r, down() + i * 16));
          }
#pragma unroll
          for (int i = 0; i < own; i++) {
#pragma unroll
            for (int j = 0; j < 8; j++) sum[i][j] = fmaf(DeepA ? x[i][k] : x[i / 4][i % 4], y[j / 4][j % 4], sum[i][j]);
          }
        }
      }
    }
    if (++summed == sum_steps) settle();
  }

  __device__ void settle() {
    summed = 0;
#pragma unroll
    for (int i = 0; i < own; i++) {
#pragma unroll
      for (int j = 0; j < 8; j++) total[i][j] += sum[i][j], sum[i][j] = 0;
    }
  }

  // each visits the results of this thread: rows, columns, four neighbours of each.
  template <bool DeepA, typename Visit, typename Measure>
  __device__ void each(float *, Visit visit, int, Measure) {
    settle();
#pragma unroll
    for (int i = 0; i < own; i++) {
      int rows[2] = {row<DeepA>(i), row<DeepA>(i)}, columns[2] = {column(0), column(4)};
      float v[2][4];
#pragma unroll
      for (int j = 0; j < 8; j++) v[j / 4][j % 4] = total[i][j];
      visit(rows, columns, v);
    }
  }
};

#define PRODUCT(name, m, kind, direct) \
  extern "C" __global__ void __launch_bounds__(threads, 2) gemm_##name##_f32(const Product p) { multiply_blocks<float, ScalarTile<m>, kind, direct, direct>(p, blockIdx); }

// Small products, of time embeddings, are many side by side.
#define SIDE_BY_SIDE(name, m, kind)                                                                                           \
  extern "C" __global__ void __launch_bounds__(threads, 2) gemm_##name##_f32(const __grid_constant__ Products products) {    \
    uint3 block;                                                                                                              \
    const Product &p = products.job[products.mine(block)];                                                                    \
    multiply_blocks<float, ScalarTile<m>, kind, true, true>(p, block);                                                        \
  }

SIDE_BY_SIDE(nn_128x64, 128, NN)
SIDE_BY_SIDE(nt_128x64, 128, NT)
SIDE_BY_SIDE(tn_128x64, 128, TN)
PRODUCT(nn_64x64_gather, 64, NN, false)
PRODUCT(nt_64x64_gather, 64, NT, false)
PRODUCT(tn_64x64_gather, 64, TN, false)

extern "C" __global__ void __launch_bounds__(256) gemm_sum_f32(const __grid_constant__ Products products) {
  uint3 block;
  const Product &p = products.job[products.mine(block)];
  sum_splits<float>(p, block);
}
