// Products of bf16 on tensor cores, summed in float32.
#include "product.cuh"

// TensorTile is Rows×Cols of the result, a quarter for each of four warps, which lie
// 2×2, or 4×1 if it is thin. See README.md for the sizes. Groups of so many threads have a tile each.
template <int Rows, int Cols, int Groups = 1>
struct TensorTile {
  static constexpr int groups = Groups;
  static constexpr int M = Rows, N = Cols;
  static constexpr bool spread = false, measures = N >= 64;
  static constexpr bool thin = N == 16;
  static constexpr int warps_n = thin ? 1 : 2, warp_m = M / 4 * warps_n, warp_n = N / warps_n, tiles_m = warp_m / 16, tiles_n = warp_n / 8;
  static constexpr int batch = thin ? 2 : 4; // chunks of four columns that are written together
  static constexpr int result_pitch = thin ? N : N + 8, result_bytes = strip * result_pitch * 4 + (measures ? threads * 12 : 0);

  float sum[tiles_m][tiles_n][4] = {};

  __device__ static int lane() { return threadIdx.x % 32; }

  // sync waits for the threads of the group.
  __device__ static void sync() {
    if constexpr (Groups > 1) asm volatile("bar.sync %0, %1;" ::"r"(threadIdx.y + 1), "n"(threads) : "memory");
    else __syncthreads();
  }

  // join adds the second group's results to the first's, through shared memory that nobody uses before or after.
  __device__ void join(float *shared) {
    __syncthreads();
#pragma unroll
    for (int turn = 1; turn >= 0; turn--) {
      if (threadIdx.y == turn) {
#pragma unroll
        for (int i = 0; i < tiles_m * tiles_n; i++) {
          float(&own)[4] = sum[i / tiles_n][i % tiles_n];
          float4 *at = reinterpret_cast<float4 *>(shared) + i * threads + threadIdx.x;
          if (turn == 1) {
            *at = make_float4(own[0], own[1], own[2], own[3]);
          } else {
            const float4 more = *at;
            own[0] += more.x, own[1] += more.y, own[2] += more.z, own[3] += more.w;
          }
        }
      }
      __syncthreads();
    }
  }
  __device__ static int first_row() { return threadIdx.x / 32 / warps_n * warp_m; }
  __device__ static int first_column() { return threadIdx.x / 32 % warps_n * warp_n; }

  // result_offset is where results are on their way out, in floats. Four rows of a
  // fragment's pairs touch every bank once, and so do eight lanes that read four columns each.
  __device__ static int result_offset(int row, int column) { return row * result_pitch + (thin ? column ^ (row >> 1 & 1) * 8 : column); }

  // Fragments of mma.sync m16n8k16, PTX ISA 9.7.14.5.8: a holds the quarters (rows
  // 0-7, k 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15) of 16×16; b those of k for 8 columns.
  template <bool Deep>
  __device__ static void load_a(uint32_t (&r)[4], uint32_t a, int i, int half) {
    const int l = lane();
    if constexpr (Deep) {
      ldmatrix<false>(r, a + deep_offset(first_row() + l % 16, 2 * half + l / 16) + i * 16 * 64);
    } else {
      ldmatrix<true>(r, a + wide_offset<M * 2>(half * 16 + l % 8 + l / 16 * 8, first_row() / 8 + 2 * i + l / 8 % 2));
    }
  }

  // load_b loads two tiles of 8 columns.
  template <bool Deep>
  __device__ static void load_b(uint32_t (&r)[4], uint32_t b, int j, int half) {
    const int l = lane();
    if constexpr (Deep) {
      ldmatrix<false>(r, b + deep_offset(first_column() + l % 8 + l / 16 * 8, 2 * half + l / 8 % 2) + j * 16 * 64);
    } else {
      ldmatrix<true>(r, b + wide_offset<N * 2>(half * 16 + l % 16, first_column() / 8 + 2 * j + l / 16));
    }
  }

  template <bool DeepA, bool DeepB>
  __device__ void multiply(uint32_t a, uint32_t b) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      uint32_t y[tiles_n / 2][4];
#pragma unroll
      for (int j = 0; j < tiles_n / 2; j++) load_b<DeepB>(y[j], b, j, half);
#pragma unroll
      for (int i = 0; i < tiles_m; i++) {
        uint32_t x[4];
        load_a<DeepA>(x, a, i, half);
#pragma unroll
        for (int j = 0; j < tiles_n; j++) mma(sum[i][j], x, y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]);
      }
    }
  }

  // each visits the results: rows, columns, four neighbours of each. They go through
  // shared memory, a strip of rows at a time, so that a warp writes whole rows. If
  // group is not 0 it then gives measure the moments of each group of so many columns
  // of each strip, of the values that visit has left, rounded.
  template <bool DeepA, typename Visit, typename Measure>
  __device__ void each(float *shared, Visit visit, int group, Measure measure) {
    constexpr int chunks = N / 4, apart = threads / chunks;
    Moments *parts = reinterpret_cast<Moments *>(shared + strip * result_pitch); // [apart][chunks]
#pragma unroll
    for (int top = 0; top < M; top += strip) {
      if (top > 0) sync();
      if (first_row() / strip * strip == top) {
#pragma unroll
        for (int i = 0; i < tiles_m; i++) {
#pragma unroll
          for (int j = 0; j < tiles_n; j++) {
            float *at = shared + result_offset(first_row() - top + i * 16 + lane() / 4, first_column() + j * 8 + lane() % 4 * 2);
            *reinterpret_cast<float2 *>(at) = make_float2(sum[i][j][0], sum[i][j][1]);
            *reinterpret_cast<float2 *>(at + 8 * result_pitch) = make_float2(sum[i][j][2], sum[i][j][3]);
          }
        }
      }
      sync();
      Moments mine = {};
#pragma unroll 1
      for (int r = threadIdx.x / chunks; r < strip; r += apart * batch) {
        int rows[batch], columns[batch];
        float v[batch][4];
#pragma unroll
        for (int i = 0; i < batch; i++) {
          columns[i] = threadIdx.x % chunks * 4;
          load(v[i], shared + result_offset(r + i * apart, columns[i]));
          rows[i] = top + r + i * apart;
        }
        visit(rows, columns, v);
        if (measures && group) mine.join(moments(v));
      }
      if (!measures || !group) continue;
      parts[threadIdx.x] = mine;
      sync();
      for (int g = threadIdx.x; g < N / group; g += threads) {
        Moments all = {};
        for (int i = 0; i < apart * group / 4; i++) all.join(parts[i / (group / 4) * chunks + g * group / 4 + i % (group / 4)]);
        measure(top, g, all);
      }
    }
  }

  // moments of values as they are after rounding.
  __device__ static Moments moments(const float (&v)[batch][4]) {
    Moments m = {batch * 4, 0, 0};
#pragma unroll
    for (int i = 0; i < batch * 4; i++) m.mean += widen(narrow<bf16>(v[i / 4][i % 4]));
    m.mean /= batch * 4;
#pragma unroll
    for (int i = 0; i < batch * 4; i++) {
      const float d = widen(narrow<bf16>(v[i / 4][i % 4])) - m.mean;
      m.squares = fmaf(d, d, m.squares);
    }
    return m;
  }
};

// Blocks that have come to each shared tile of the launch that runs; 0 between launches.
__device__ uint32_t arrived[most_shared];

#define PRODUCT(name, m, n, kind, direct_a, direct_b)                                                                               \
  extern "C" __global__ void __launch_bounds__(threads, 2) gemm_##name##_bf16(const Product p) {                                    \
    multiply_blocks<bf16, TensorTile<m, n>, kind, direct_a, direct_b, kind != TN && direct_a && direct_b>(p, blockIdx, arrived); \
  }

#define PRODUCTS(name, kind)                               \
  PRODUCT(name##_128x128, 128, 128, kind, true, true)      \
  PRODUCT(name##_128x64, 128, 64, kind, true, true)        \
  PRODUCT(name##_64x64, 64, 64, kind, true, true)          \
  PRODUCT(name##_64x64_gather, 64, 64, kind, false, false)

PRODUCTS(nn, NN)
PRODUCTS(nt, NT)
// Gradients of weights have few tiles and many steps: two groups of threads, and shares across tiles.
#define GRADIENT(m, n, blocks)                                                                                 \
  extern "C" __global__ void __launch_bounds__(2 * threads, blocks) gemm_tn_##m##x##n##_bf16(const Product p) { \
    multiply_blocks<bf16, TensorTile<m, n, 2>, TN, true, true>(p, blockIdx);                                   \
  }

GRADIENT(128, 128, 1)
GRADIENT(128, 64, 1)
GRADIENT(64, 64, 2)
PRODUCT(tn_64x64_gather, 64, 64, TN, false, false)
// Images of many channels with weights of few: the last convolution of a network.
PRODUCT(nn_128x16_gather_b, 128, 16, NN, true, false)
PRODUCT(tn_128x16_gather_b, 128, 16, TN, true, false)

extern "C" __global__ void __launch_bounds__(256) gemm_sum_bf16(const __grid_constant__ Products products) {
  uint3 block;
  const Product &p = products.job[products.mine(block)];
  sum_splits<bf16>(p, block);
}
