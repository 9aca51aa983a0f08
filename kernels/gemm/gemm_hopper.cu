// Products of bf16 by wgmma: Hopper's tensor cores read both operands from shared memory, at up to 1.7 times the
// rate of mma.sync. Two groups of four warps multiply, a thread of another copies boxes of tensors there; see README.md.
// targets: compute_90a
#include "hopper.cuh"
#include "product.cuh"

// A step is 64 of k. An operand's tile is rows of 128 bytes, swizzled: of k for each index m or n, or
// of 64 indices m or n for each k, as it lies in global memory.
constexpr int depth = 64, row_bytes = 128, width = 128, group_threads = 128, groups = 2;
constexpr int panel = 64 * row_bytes; // of 64 m or n, however they lie

template <Kind kind, int M>
struct Group {
  static constexpr bool side_a = kind == TN, side_b = kind != NT;
  static constexpr int tiles = M / 64 / groups; // of 64 rows
  static constexpr int pitch = width + 8, strip_floats = 64 * pitch + 3 * group_threads, batch = 4;

  float sum[tiles][64] = {};

  // step multiplies tiles a, of all groups, and b.
  __device__ void step(int group, uint32_t a, uint32_t b) {
    constexpr int k_a = side_a ? 16 * row_bytes : 32, k_b = side_b ? 16 * row_bytes : 32;
    multiply_begin();
#pragma unroll
    for (int k = 0; k < depth / 16; k++) {
#pragma unroll
      for (int i = 0; i < tiles; i++) {
        multiply<side_a, side_b>(sum[i], descriptor<panel>(a + (group * tiles + i) * panel + k * k_a), descriptor<panel>(b + k * k_b));
      }
    }
    multiply_commit();
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

  // write brings the sums out through shared memory, so that a warp writes whole rows, and leaves their
  // moments. first is the row of the product at the group's first sum, rows and columns those that there are.
  __device__ void write(const Product &p, float *shared, int barrier, int first, int rows, int column, int64_t out) {
    constexpr int chunks = width / 4, apart = group_threads / chunks;
    Moments *parts = reinterpret_cast<Moments *>(shared + 64 * pitch); // [apart][chunks]
    const int thread = threadIdx.x % group_threads, lane = thread % 32;
#pragma unroll
    for (int i = 0; i < tiles; i++) {
      if (i > 0) group_sync<group_threads>(barrier);
#pragma unroll
      for (int j = 0; j < width / 8; j++) {
        float *at = shared + (thread / 32 * 16 + lane / 4) * pitch + j * 8 + lane % 4 * 2;
        *reinterpret_cast<float2 *>(at) = make_float2(sum[i][4 * j], sum[i][4 * j + 1]);
        *reinterpret_cast<float2 *>(at + 8 * pitch) = make_float2(sum[i][4 * j + 2], sum[i][4 * j + 3]);
      }
      group_sync<group_threads>(barrier);
      Moments mine = {};
#pragma unroll 1
      for (int r = thread / chunks; r < 64; r += apart * batch) {
        int at[batch], columns[batch];
        float v[batch][4];
#pragma unroll
        for (int k = 0; k < batch; k++) {
          columns[k] = column + thread % chunks * 4;
          at[k] = first + i * 64 + r + k * apart;
          load(v[k], shared + (r + k * apart) * pitch + thread % chunks * 4);
        }
        finish<bf16>(p, out, at, rows, columns, v);
        if (kind == NN && p.group) mine.join(moments(v));
      }
      if constexpr (kind == NN) {
        if (!p.group) continue;
        parts[thread] = mine;
        group_sync<group_threads>(barrier);
        const int quarter = p.group / 4;
        for (int g = thread; g < width / p.group; g += group_threads) {
          Moments all = {};
          for (int k = 0; k < apart * quarter; k++) all.join(parts[k / quarter * chunks + g * quarter + k % quarter]);
          if (first + i * 64 >= rows || column / p.group + g >= p.groups) continue;
          float *at = p.moments + (first + i * 64) / strip * 3 * p.groups + column / p.group + g;
          at[0] = all.count, at[p.groups] = all.mean, at[2 * p.groups] = all.squares;
        }
      }
    }
  }
};

// multiply_tile is the kernel: M×128 of the result. Where registers are given, those that copy keep so many
// of them, and those that multiply have so many.
template <Kind kind, int M, int stages, int copying, int multiplying>
__device__ inline void multiply_tile(const TensorMap &map_a, const TensorMap &map_b, const Product &p) {
  constexpr int bytes_a = M * row_bytes, bytes = bytes_a + width * row_bytes;
  static_assert(groups * Group<kind, M>::strip_floats * 4 <= stages * bytes, "results leave through the memory of the stages");
  extern __shared__ uint8_t dynamic[];
  __shared__ uint64_t barriers[2 * stages];
  const uint32_t full = shared_address(barriers), empty = full + 8 * stages;
  const uint32_t begin = shared_address(dynamic), memory = (begin + 1023) & ~1023; // eight rows of a swizzle are 1024 bytes

  const int down = p.by_tiles_n.divide(blockIdx.x), column = (blockIdx.x - down * p.tiles_n) * width;
  const int tap = kind == TN ? p.by_tap_tiles.divide(down) : 0;
  const int first_row = (down - tap * p.tap_tiles) * M;
  const int from = blockIdx.y * p.split_steps, to = min(from + p.split_steps, p.steps);

  if (threadIdx.x == 0) {
    for (int i = 0; i < stages; i++) {
      barrier_init(full + 8 * i, 1);
      barrier_init(empty + 8 * i, groups * group_threads / 32);
    }
    barrier_publish();
  }
  __syncthreads();

  if (threadIdx.x >= groups * group_threads) {
    if constexpr (copying > 0) give_registers<copying>();
    if (threadIdx.x > groups * group_threads) return;
    const Product::Pixel g = p.pixel(kind == TN ? 0 : first_row);
    int slot = 0;
    uint32_t parity = 1; // all stages are empty at first
    for (int i = from; i < to; i++) {
      barrier_wait(empty + 8 * slot, parity);
      const uint32_t a = memory + slot * bytes, b = a + bytes_a, ready = full + 8 * slot;
      barrier_expect(ready, bytes);
      const int at = kind == TN ? tap : p.by_tap_steps.divide(i), tap_y = p.by_taps_x.divide(at), tap_x = at - tap_y * p.taps_x;
      const int y = p.origin_y + p.direction * tap_y, x = p.origin_x + p.direction * tap_x;
      const int weights = p.tap_first + tap_y * p.tap_step_y + tap_x * p.tap_step_x;
      if constexpr (kind == TN) {
        const Product::Pixel k = p.pixel(i * depth);
#pragma unroll
        for (int j = 0; j < M / 64; j++) copy_box(a + j * panel, map_a, ready, first_row + j * 64, k.x * p.stride + x, k.y * p.stride + y, k.image);
        copy_box(b, map_b, ready, column, i * depth, 0);
        copy_box(b + panel, map_b, ready, column + 64, i * depth, 0);
      } else {
        const int k = (i - at * ((p.depth + depth - 1) / depth)) * depth;
        copy_box(a, map_a, ready, k, g.x * p.stride + x, g.y * p.stride + y, g.image);
        if constexpr (kind == NN) {
          copy_box(b, map_b, ready, column, k, weights);
          copy_box(b + panel, map_b, ready, column + 64, k, weights);
        } else {
          copy_box(b, map_b, ready, k, column, weights);
        }
      }
      if (++slot == stages) slot = 0, parity ^= 1;
    }
    return;
  }

  if constexpr (multiplying > 0) take_registers<multiplying>();
  Group<kind, M> mine;
  const int group = threadIdx.x / group_threads;
  int slot = 0;
  uint32_t parity = 0;
  int i = from; // < to; the assembler must know that there is a step, or it lets each product end before the next
#pragma unroll 1
  do {
    barrier_wait(full + 8 * slot, parity);
    mine.step(group, memory + slot * bytes, memory + slot * bytes + bytes_a);
    multiply_wait<1>(); // the step before is over
    if (i > from && threadIdx.x % 32 == 0) barrier_arrive(empty + 8 * (slot == 0 ? stages - 1 : slot - 1));
    if (++slot == stages) slot = 0, parity ^= 1;
  } while (++i < to);
  multiply_wait<0>();
  group_sync<groups * group_threads>(1); // what the other group multiplied lies where this one's results go

  float *results = reinterpret_cast<float *>(dynamic + (memory - begin)) + group * Group<kind, M>::strip_floats;
  const int rows = tap * p.depth + (kind == TN ? p.depth : p.pixels);
  mine.write(p, results, 2 + group, tap * p.depth + first_row + group * (M / groups), rows, column, blockIdx.y * p.out_split);
}

#define PRODUCT(name, kind, m, threads, blocks, ...)                                                                                                   \
  extern "C" __global__ void __launch_bounds__(threads, blocks)                                                                                        \
      gemm_##name##_##m##x128_wgmma_bf16(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const __grid_constant__ Product p) { \
    multiply_tile<kind, m, __VA_ARGS__>(a, b, p);                                                                                                      \
  }

// Two blocks of 9 warps have 112 registers a thread, one of 12 has 168 at first: sums are 64, or 128.
#define PRODUCTS(name, kind)                 \
  PRODUCT(name, kind, 128, 288, 2, 3, 0, 0)  \
  PRODUCT(name, kind, 256, 384, 1, 4, 40, 232)

PRODUCTS(nn, NN)
PRODUCTS(nt, NT)
PRODUCTS(tn, TN)
