// Implicit matrix products. One of the operands is an image, or several: its rows
// are pixels, its columns channels, and a walk over the image says which pixels
// meet: convolutions, their gradients and dense products alike.
//
//   nn  out[pixel][j] = Σ_tap Σ_c a[walk(pixel, tap)][c] · b[tap][c][j]   forward
//   nt  out[pixel][j] = Σ_tap Σ_c a[walk(pixel, tap)][c] · b[tap][j][c]   gradient of the input
//   tn  out[tap][c][j] = Σ_pixel a[walk(pixel, tap)][c] · b[pixel][j]     gradient of the weights
//
// Loaders bring the tiles of one step to shared memory. A direct loader copies
// 16 bytes at a time, asynchronously; its steps never cross a tap. A gathering
// loader reads element by element, for operands that are not aligned and for
// images of few channels: its steps run over taps and channels as one axis, so
// that 9 taps of 3 channels are one step and not nine.
#pragma once

#include "jobs.cuh"
#include "mma.cuh"

constexpr int threads = 128;

enum Kind { NN, NT, TN };

// Divisor divides numbers below 2³¹ (Granlund and Montgomery 1994, figure 4.1).
struct Divisor {
  uint32_t multiplier, shift;
  __device__ int divide(int n) const { return (__umulhi(uint32_t(n), multiplier) + uint32_t(n)) >> shift; }
};

// Moments are the statistics of some values, for a group norm: see cuda.Partials.
struct Moments {
  float count, mean, squares; // Σ(x − mean)²

  // join adds others (Chan, Golub and LeVeque 1983, equation 2.1).
  __device__ void join(const Moments &o) {
    const float all = count + o.count, share = o.count / all, apart = o.mean - mean;
    squares += o.squares + apart * apart * count * share;
    mean += apart * share;
    count = all;
  }
};

// strip is the rows of a result that share their moments. An image has a whole number of them.
constexpr int strip = 64;

// Product is the argument of every kernel here; cuda.go fills it in. Strides and
// pitches are in elements, but for those of a and b.
struct Product {
  const void *a, *b;
  void *out;
  const void *add;        // 0: none; rows as out
  const float *bias;      // 0: none
  const float *per_image; // 0: none
  float *partial;         // what sum_splits adds: splits × rows × ⌈width/4⌉·4; or whole tiles: of those that blocks share for the last of them, or see tile_steps
  float *moments;         // if group is not 0: of each strip of the result count, mean, squares of every group; of tn: sums of b's columns
  int64_t a_image, a_head, b_image, b_head, out_image, out_head; // strides of a batch
  int64_t out_split;                                             // between results of blocks that share a sum

  // The other names are those of sum_splits, where tile_steps is not 0: rows and columns of a tile, as powers of two, and
  // which column of the parts is column 0 of the result.
  union { int32_t a_pitch, tile_m_bits; }; // bytes
  union { int32_t b_pitch, tile_n_bits; }; // bytes
  union { int32_t source_h, part_column; };
  int32_t source_w;
  int32_t out_pitch, add_pitch, per_image_pitch;
  int32_t rows, width; // of the result
  int32_t pixels;      // of the grid, all images
  int32_t depth;       // channels of a
  int32_t taps, taps_x;
  int32_t grid_w, grid_size; // of one image
  // A pixel (y, x) of the grid meets (stride·y + origin_y + direction·tap_y, …) of a.
  int32_t stride, origin_y, origin_x, direction;
  // Taps (tap_y, tap_x) of the walk have weights tap_first + tap_y·tap_step_y + tap_x·tap_step_x.
  int32_t tap_first, tap_step_y, tap_step_x;
  // A pixel (y, x) of the grid is (y·out_step + out_y, …) of the result.
  int32_t out_step, out_y, out_x, out_w, out_size;
  int32_t group, groups; // columns of a group of moments, 0 for none; number of groups. Of tn: blocks that share the sums of a column; all parts of one
  int32_t mapped; // or else row i of the product is row i of the result
  int32_t steps, split_steps, splits; // steps of the sum: all, of one block, and blocks that share it
  int32_t float_out;  // the result is float32, whatever the operands are
  int32_t vector_out; // four columns of a row are aligned wherever they are read and written here
  int32_t tiles_n, tap_tiles, heads; // tiles across the result; tiles down one tap of it; heads of an image
  Divisor by_grid_w, by_grid_size, by_depth, by_taps_x;
  Divisor by_chunk_steps; // steps of one chunk of k, all taps together; of a share
  Divisor by_tiles_n, by_tap_tiles, by_heads, by_chunks; // the last: ⌈width/4⌉
  Divisor by_splits; // or tile_steps
  int32_t whole; // tiles that have a block each; of those behind them splits blocks share one, and the last to come adds up
  // Shares across tiles: block i has split_steps of the steps of all tiles, from i·split_steps on. Tiles lie one behind the other, tile_steps
  // each, some of which may be behind the sum's end; whole is the steps of all. A block leaves what it has of tile t as part t + i, and as many
  // sums of b's columns for each group of threads. splits is twice the most parts of a tile, out_split the room for all. 0: it is not so.
  int32_t tile_steps;

  struct Pixel {
    int image, y, x;
  };

  __device__ Pixel pixel(int i) const {
    const int image = by_grid_size.divide(i), in = i - image * grid_size;
    const int y = by_grid_w.divide(in);
    return {image, y, in - y * grid_w};
  }

  __device__ int pitch() const { return (width + 3) / 4 * 4; } // of a row of partial

  __device__ bool inside(int y, int x) const { return uint32_t(y) < uint32_t(source_h) && uint32_t(x) < uint32_t(source_w); }
};

// Products are as many as one launch has room for; cuda.go's mostProducts.
using Products = Jobs<Product, 10>;

// Step of a sum: first element k of the tile. Direct steps over taps count k within the tap. All taps meet a chunk
// of 128 bytes of the pixels, two steps or what is left, before the next: a pixel is read from memory once, and for the other
// taps from the second cache, which need not hold all channels of the pixels of all blocks that run.
struct Step {
  int k, tap_y, tap_x;
};

template <typename T>
constexpr int step_depth = 64 / sizeof(T); // elements of k in a tile

template <typename T, Kind kind, bool Direct>
__device__ inline Step first_step(const Product &p, int i) {
  if constexpr (kind == TN || !Direct) return {i * step_depth<T>, 0, 0};
  const int chunk = p.by_chunk_steps.divide(i), in = i - chunk * 2 * p.taps, k = chunk * 2 * step_depth<T>;
  const bool two = k + step_depth<T> < p.depth;
  const int tap = two ? in / 2 : in, y = p.by_taps_x.divide(tap);
  return {k + (two ? in % 2 : 0) * step_depth<T>, y, tap - y * p.taps_x};
}

template <typename T, Kind kind, bool Direct>
__device__ inline void advance(const Product &p, Step &s) {
  s.k += step_depth<T>;
  if (kind == TN || !Direct || (s.k % (2 * step_depth<T>) != 0 && s.k < p.depth)) return;
  const int chunk = (s.k - 1) & -(2 * step_depth<T>);
  if (++s.tap_x == p.taps_x) s.tap_x = 0, s.tap_y++;
  if (s.tap_y * p.taps_x == p.taps) s.tap_y = 0; // and k goes on
  else s.k = chunk;
}

// row of a matrix whose pitch is in bytes: one multiply-add.
template <typename T>
__device__ inline const T *row_of(const T *base, int row, int pitch) {
  return reinterpret_cast<const T *>(reinterpret_cast<const char *>(base) + int64_t(row) * pitch);
}

// bytes of a chunk of which this many elements exist.
template <typename T>
__device__ inline int chunk_bytes(int elements) { return max(0, min(16, elements * int(sizeof(T)))); }

// pack_bits makes a chunk of single elements.
__device__ inline uint32_t bits_of(float x) { return __float_as_uint(x); }
__device__ inline uint32_t bits_of(bf16 x) { return x.bits; }

template <typename T>
__device__ inline uint4 pack(const uint32_t (&e)[vector<T>]) {
  if constexpr (sizeof(T) == 4) {
    return make_uint4(e[0], e[1], e[2], e[3]);
  } else {
    return make_uint4(e[0] | e[1] << 16, e[2] | e[3] << 16, e[4] | e[5] << 16, e[6] | e[7] << 16);
  }
}

// Taken apart: element k of a gathering step, as tap and channel.
struct Element {
  int tap_y, tap_x, c;
  bool valid;
};

__device__ inline Element element(const Product &p, int k) {
  const int tap = p.by_depth.divide(k), y = p.by_taps_x.divide(tap);
  return {y, tap - y * p.taps_x, k - tap * p.depth, tap < p.taps};
}

// PixelRows loads tiles of a for nn and nt: a row for each pixel of the grid.
template <typename T, int Rows, bool Direct>
struct PixelRows {
  static constexpr int count = Rows * 4 / threads;
  const T *base;
  uint32_t to;
  int chunk;
  int at[count], y[count], x[count]; // source pixel of tap (0, 0): its index, which may lie outside, and its place

  __device__ PixelRows(const Product &p, const T *base, int first) : base(base), chunk(threadIdx.x % 4) {
    const int row = threadIdx.x / 4;
    to = deep_offset(row, chunk);
#pragma unroll
    for (int i = 0; i < count; i++) {
      const int m = first + row + i * (threads / 4);
      const Product::Pixel g = p.pixel(min(m, p.pixels - 1));
      y[i] = g.y * p.stride + p.origin_y;
      x[i] = g.x * p.stride + p.origin_x;
      at[i] = (g.image * p.source_h + y[i]) * p.source_w + x[i];
      if (m >= p.pixels) y[i] = -1 << 28; // outside at every tap
    }
  }

  __device__ void load(const Product &p, const Step &s, uint32_t tile) const {
    if constexpr (Direct) {
      const int dy = p.direction * s.tap_y, dx = p.direction * s.tap_x;
      const int shift = dy * p.source_w + dx, c = s.k + chunk * vector<T>;
      const int bytes = chunk_bytes<T>(p.depth - c);
#pragma unroll
      for (int i = 0; i < count; i++) {
        const bool valid = p.inside(y[i] + dy, x[i] + dx) && bytes > 0;
        const T *from = row_of(base + c, at[i] + shift, p.a_pitch);
        copy_async(tile + to + i * (threads / 4) * 64, valid ? from : base, valid ? bytes : 0);
      }
    } else {
      uint32_t e[count][vector<T>];
#pragma unroll
      for (int j = 0; j < vector<T>; j++) {
        const Element k = element(p, s.k + chunk * vector<T> + j);
        const int dy = p.direction * k.tap_y, dx = p.direction * k.tap_x;
        const int shift = dy * p.source_w + dx;
#pragma unroll
        for (int i = 0; i < count; i++) {
          e[i][j] = 0;
          if (k.valid && p.inside(y[i] + dy, x[i] + dx)) e[i][j] = bits_of(row_of(base + k.c, at[i] + shift, p.a_pitch)[0]);
        }
      }
#pragma unroll
      for (int i = 0; i < count; i++) shared_store(tile + to + i * (threads / 4) * 64, pack<T>(e[i]));
    }
  }
};

// PixelColumns loads tiles of a for tn: a row for each pixel of the step, columns
// are channels of one tap, or taps and channels as one axis if it gathers.
template <typename T, int Cols, bool Direct>
struct PixelColumns {
  static constexpr int chunks = Cols / vector<T>, apart = threads / chunks, count = step_depth<T> / apart;
  static constexpr int elements = Direct ? 1 : vector<T>;
  const T *base;
  int row, chunk;
  int dy[elements], dx[elements], offset[elements], bytes;

  __device__ PixelColumns(const Product &p, const T *base, int tap, int first) : base(base), row(threadIdx.x / chunks), chunk(threadIdx.x % chunks) {
    const int column = first + chunk * vector<T>;
    bytes = chunk_bytes<T>(p.depth - column);
#pragma unroll
    for (int j = 0; j < elements; j++) {
      const Element e = Direct ? element(p, tap * p.depth) : element(p, column + j);
      dy[j] = p.direction * e.tap_y + p.origin_y;
      dx[j] = p.direction * e.tap_x + p.origin_x;
      offset[j] = (dy[j] * p.source_w + dx[j]) * (p.a_pitch / int(sizeof(T))) + (Direct ? column : e.c);
      if (!e.valid) dy[j] = -1 << 28;
    }
  }

  __device__ void load(const Product &p, const Step &s, uint32_t tile) const {
#pragma unroll
    for (int i = 0; i < count; i++) {
      const int r = row + i * apart, k = s.k + r;
      const uint32_t to = tile + wide_offset<Cols * int(sizeof(T))>(r, chunk);
      const Product::Pixel g = p.pixel(min(k, p.pixels - 1));
      const int y = g.y * p.stride, x = g.x * p.stride;
      const T *from = row_of(base, (g.image * p.source_h + y) * p.source_w + x, p.a_pitch);
      if constexpr (Direct) {
        const bool valid = k < p.pixels && p.inside(y + dy[0], x + dx[0]) && bytes > 0;
        copy_async(to, valid ? from + offset[0] : base, valid ? bytes : 0);
      } else {
        uint32_t e[elements];
#pragma unroll
        for (int j = 0; j < elements; j++) {
          e[j] = 0;
          if (k < p.pixels && p.inside(y + dy[j], x + dx[j])) e[j] = bits_of(from[offset[j]]);
        }
        shared_store(to, pack<T>(e));
      }
    }
  }
};

// WideRows loads tiles of b for nn and tn: rows of the matrix from row first on, of
// which this many exist.
template <typename T, int Cols, bool Direct>
struct WideRows {
  static constexpr int chunks = Cols / vector<T>, apart = threads / chunks, count = (step_depth<T> + apart - 1) / apart;
  const T *b, *base;
  int row, chunk, exist;

  __device__ WideRows(const Product &p, const T *b, int column) : b(b), row(threadIdx.x / chunks), chunk(threadIdx.x % chunks) {
    base = b + column + chunk * vector<T>;
    exist = p.width - column - chunk * vector<T>;
  }

  __device__ void load(const Product &p, int first, int rows, uint32_t tile) const {
#pragma unroll
    for (int i = 0; i < count; i++) {
      const int r = row + i * apart;
      if (step_depth<T> % apart != 0 && r >= step_depth<T>) break; // more threads than chunks
      const uint32_t to = tile + wide_offset<Cols * int(sizeof(T))>(r, chunk);
      const T *from = row_of(base, first + r, p.b_pitch);
      if constexpr (Direct) {
        const bool valid = r < rows && exist > 0;
        copy_async(to, valid ? from : b, valid ? chunk_bytes<T>(exist) : 0);
      } else {
        uint32_t e[vector<T>];
#pragma unroll
        for (int j = 0; j < vector<T>; j++) e[j] = r < rows && j < exist ? bits_of(from[j]) : 0;
        shared_store(to, pack<T>(e));
      }
    }
  }
};

// DeepRows loads tiles of b for nt: a row for each column of the result. Spread
// puts row n of 64 at n/4 + 16·(n%4), for readers that take four neighbours each.
template <typename T, int Rows, bool Direct, bool Spread>
struct DeepRows {
  static constexpr int count = Rows * 4 / threads;
  static_assert(!Spread || Rows == 64, "the permutation is of 64 rows");
  const T *base;
  uint32_t to;
  int chunk, row, first;

  __device__ DeepRows(const Product &, const T *b, int first) : base(b), chunk(threadIdx.x % 4), row(threadIdx.x / 4), first(first) {
    to = deep_offset(row, chunk);
  }

  __device__ int column(int i) const {
    const int r = row + i * (threads / 4);
    return first + (Spread ? 4 * (r % 16) + r / 16 : r);
  }

  __device__ void load(const Product &p, const Step &s, uint32_t tile) const {
    if constexpr (Direct) {
      const int c = s.k + chunk * vector<T>, bytes = chunk_bytes<T>(p.depth - c);
      const int tap = p.tap_first + s.tap_y * p.tap_step_y + s.tap_x * p.tap_step_x;
#pragma unroll
      for (int i = 0; i < count; i++) {
        const bool valid = column(i) < p.width && bytes > 0;
        const T *from = row_of(base + c, tap * p.width + column(i), p.b_pitch);
        copy_async(tile + to + i * (threads / 4) * 64, valid ? from : base, valid ? bytes : 0);
      }
    } else {
      uint32_t e[count][vector<T>];
#pragma unroll
      for (int j = 0; j < vector<T>; j++) {
        const Element k = element(p, s.k + chunk * vector<T> + j);
        const int tap = p.tap_first + k.tap_y * p.tap_step_y + k.tap_x * p.tap_step_x;
#pragma unroll
        for (int i = 0; i < count; i++) {
          e[i][j] = 0;
          if (k.valid && column(i) < p.width) e[i][j] = bits_of(row_of(base + k.c, tap * p.width + column(i), p.b_pitch)[0]);
        }
      }
#pragma unroll
      for (int i = 0; i < count; i++) shared_store(tile + to + i * (threads / 4) * 64, pack<T>(e[i]));
    }
  }
};

// Place is where a row of the result lies, and of which image it is.
struct Place {
  int64_t row;
  int image;
};

__device__ inline Place place(const Product &p, int row) {
  if (!p.mapped) return {row, 0};
  const Product::Pixel g = p.pixel(row);
  return {int64_t(g.image) * p.out_size + (g.y * p.out_step + p.out_y) * p.out_w + g.x * p.out_step + p.out_x, g.image};
}

// fuse adds what the plan fused to four columns of a row.
template <typename T>
__device__ inline void fuse(const Product &p, const Place &to, int column, float (&v)[4]) {
  const float *per_image = p.per_image + int64_t(to.image) * p.per_image_pitch;
  const T *add = static_cast<const T *>(p.add) + to.row * p.add_pitch + column;
  if (p.vector_out) {
    float bias[4] = {}, image[4] = {}, more[4] = {};
    if (p.bias) load(bias, p.bias + column);
    if (p.per_image) load(image, per_image + column);
    if (p.add) load(more, add);
#pragma unroll
    for (int j = 0; j < 4; j++) v[j] += bias[j] + image[j] + more[j];
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++) {
    if (column + j >= p.width) break;
    float more = 0;
    if (p.bias) more += p.bias[column + j];
    if (p.per_image) more += per_image[column + j];
    if (p.add) more += widen(add[j]);
    v[j] += more;
  }
}

template <typename T>
__device__ inline void write(const Product &p, T *to, int column, const float (&v)[4]) {
  if (p.vector_out) {
    store(to + column, v);
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++) {
    if (column + j < p.width) to[column + j] = narrow<T>(v[j]);
  }
}

// finish writes four columns of each of Count rows. All reads come before the
// first write, which might be to the same memory for all that the compiler knows.
template <typename T, int Count>
__device__ inline void finish(const Product &p, int64_t offset, const int (&row)[Count], int rows, const int (&column)[Count], float (&v)[Count][4]) {
  Place to[Count] = {};
#pragma unroll
  for (int i = 0; i < Count; i++) {
    if (row[i] >= rows || column[i] >= p.width) continue;
    to[i] = place(p, row[i]);
    fuse<T>(p, to[i], column[i], v[i]);
  }
#pragma unroll
  for (int i = 0; i < Count; i++) {
    if (row[i] >= rows || column[i] >= p.width) continue;
    const int64_t at = offset + to[i].row * p.out_pitch;
    if (sizeof(T) == 4 || p.float_out) {
      write(p, static_cast<float *>(p.out) + at, column[i], v[i]);
    } else {
      write(p, static_cast<T *>(p.out) + at, column[i], v[i]);
    }
  }
}

// ColumnSums are of b, for the gradient of a bias. Its tiles lie in shared memory of every block of a
// column, so these take turns: a block sums every group-th step.
template <typename T, int N, typename Tile>
struct ColumnSums {
  static constexpr int chunks = N / vector<T>, apart = threads / chunks;
  float sum[vector<T>] = {};

  __device__ static int chunk() { return threadIdx.x % chunks; }
  __device__ static int row() { return threadIdx.x / chunks; }

  __device__ void add(uint32_t tile) {
#pragma unroll
    for (int i = 0; i < (step_depth<T> + apart - 1) / apart; i++) {
      const int r = row() + i * apart;
      if (step_depth<T> % apart != 0 && r >= step_depth<T>) break; // more threads than chunks
      uint4 word;
      shared_load(word, tile + wide_offset<N * int(sizeof(T))>(r, chunk()));
      float v[vector<T>];
      load(v, reinterpret_cast<const T *>(&word));
#pragma unroll
      for (int i = 0; i < vector<T>; i++) sum[i] += v[i];
    }
  }

  // leave writes the block's sums of exist columns. Shared memory is free before and after.
  __device__ void leave(float *shared, float *to, int exist) const {
    // Four columns at a time, so that lanes that are neighbours write, and read, neighbouring words.
    constexpr int quads = vector<T> / 4, across = N / quads, plane = (apart + 1) * across;
#pragma unroll
    for (int q = 0; q < quads; q++) store(shared + q * plane + threadIdx.x * 4, reinterpret_cast<const float(&)[4]>(sum[q * 4]));
    Tile::sync();
    static_assert(N <= threads, "a thread for each column");
    const int q = threadIdx.x / across, rest = threadIdx.x % across, c = rest / 4 * vector<T> + q * 4 + rest % 4;
    if (threadIdx.x < N && c < exist) {
      float all = 0;
#pragma unroll 1
      for (int r = 0; r < apart; r++) all += shared[q * plane + r * across + rest];
      to[c] = all;
    }
    Tile::sync();
  }
};

// most_shared is the tiles that blocks of one launch may share; tiles.go's mostShared.
constexpr int most_shared = 1024;

// last_of says to every thread of a block whether it is the last of so many to come to a tile. What the
// others have written is there for it then. The count is back at 0 afterwards, for the next launch.
__device__ inline bool last_of(uint32_t *arrived, int blocks, uint32_t *shared) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    *shared = atomicAdd(arrived, 1) == blocks - 1;
    if (*shared) atomicExch(arrived, 0);
  }
  __syncthreads();
  const bool last = *shared;
  __syncthreads(); // shared memory is free again
  if (last) __threadfence();
  return last;
}

// multiply_blocks is the kernel. Tile says how a group of threads multiplies two
// tiles in shared memory; see gemm_f32.cu and gemm_bf16.cu. Its loop holds stages-1
// steps in flight while it computes on one. If Together, blocks may share tiles: nobody
// waits for others, the last to come adds what all have left, in the order of k.
// Two groups of threads have half of the steps each, which they add up in shared memory; such blocks have shares across tiles.
template <typename T, typename Tile, Kind kind, bool DirectA, bool DirectB, bool Together = false>
__device__ inline void multiply_blocks(const Product &p, const uint3 &block, uint32_t *arrived = nullptr) {
  constexpr int M = Tile::M, N = Tile::N, stages = 3, stage = (M + N) * 64, groups = Tile::groups;
  constexpr bool deep_a = kind != TN, deep_b = kind == NT, across = groups > 1;
  constexpr int results = Tile::result_bytes > threads * vector<T> * 4 ? Tile::result_bytes : threads * vector<T> * 4; // or column sums
  constexpr int need = stages * stage > results ? stages * stage : results;
  static_assert(!across || stages * stage >= results && groups * stages * stage >= M * N * 4, "results are exchanged where stages are");
  __shared__ __align__(128) uint8_t fixed[across ? 1 : need];
  extern __shared__ __align__(128) uint8_t asked[]; // of the launch: stages of two groups are more than a function may have
  uint8_t *const memory = across ? asked : fixed;
  const int group = across ? threadIdx.y : 0;
  uint8_t *own = memory + group * (stages * stage);
  const uint32_t shared = shared_address(own);

  int at = block.x, part = block.y; // the tile, and which part of its sum
  const bool together = Together && at >= p.whole;
  if (together) {
    const int i = at - p.whole, tile = p.by_splits.divide(i);
    at = p.whole + tile, part = i - tile * p.splits;
  }
  int unit = block.x * p.split_steps; // the next of all steps
  const int units = min(unit + p.split_steps, p.whole);
#pragma unroll 1
  do {
    int from = part * p.split_steps, to = Together && !together && gridDim.y == 1 ? p.steps : min(from + p.split_steps, p.steps);
    if constexpr (across) {
      at = p.by_splits.divide(unit);
      from = unit - at * p.tile_steps, to = min(p.tile_steps, from + units - unit);
      unit += to - from;
      to = min(to, p.steps);
      const int middle = (from + to + 1) / 2;
      if (group == 0) to = middle;
      else from = middle;
    }
    // Neighbouring blocks share rows of a, which are many, and stay in the L2 cache.
    const int down = p.by_tiles_n.divide(at), column = (at - down * p.tiles_n) * N;
    const int tap = kind == TN && DirectA ? p.by_tap_tiles.divide(down) : 0;
    const int first_row = (down - tap * p.tap_tiles) * M;
    const int image = p.by_heads.divide(block.z), head = block.z - image * p.heads;
    const T *a = static_cast<const T *>(p.a) + image * p.a_image + head * p.a_head;
    const T *b = static_cast<const T *>(p.b) + image * p.b_image + head * p.b_head;

    auto load_a = [&] {
      if constexpr (deep_a) {
        return PixelRows<T, M, DirectA>(p, a, first_row);
      } else {
        return PixelColumns<T, M, DirectA>(p, a, tap, first_row);
      }
    }();
    auto load_b = [&] {
      if constexpr (deep_b) {
        return DeepRows<T, N, DirectB, Tile::spread>(p, b, column);
      } else {
        return WideRows<T, N, DirectB>(p, b, column);
      }
    }();
    Step next = first_step<T, kind, DirectA>(p, from);
    auto fetch = [&](int slot) {
      const uint32_t at = shared + slot * stage;
      load_a.load(p, next, at);
      if constexpr (deep_b) {
        load_b.load(p, next, at + M * 64);
      } else if constexpr (kind == TN) {
        load_b.load(p, next.k, p.pixels - next.k, at + M * 64);
      } else if constexpr (DirectA) {
        const int first = (p.tap_first + next.tap_y * p.tap_step_y + next.tap_x * p.tap_step_x) * p.depth + next.k;
        load_b.load(p, first, p.depth - next.k, at + M * 64);
      } else {
        load_b.load(p, next.k, p.taps * p.depth - next.k, at + M * 64);
      }
      advance<T, kind, DirectA>(p, next);
    };

#pragma unroll 1
    for (int i = 0; i < stages - 1; i++) {
      if (from + i < to) fetch(i);
      copy_commit();
    }
    Tile tile;
    ColumnSums<T, N, Tile> sums;
    int turn = down; // steps until this block's
    if (across && p.moments && (turn -= from % p.group) < 0) turn += p.group;
    int slot = 0, free = stages - 1;
#pragma unroll 1
    for (int i = from; i < to; i++) {
      copy_wait<stages - 2>();
      Tile::sync();
      if (i + stages - 1 < to) fetch(free);
      copy_commit();
      tile.template multiply<deep_a, deep_b>(shared + slot * stage, shared + slot * stage + M * 64);
      if (kind == TN && p.moments && turn-- == 0) {
        sums.add(shared + slot * stage + M * 64);
        turn = p.group - 1;
      }
      free = slot;
      slot = slot + 1 == stages ? 0 : slot + 1;
    }
    copy_wait<0>();
    Tile::sync();
    if (kind == TN && p.moments) {
      float *to = across ? p.moments + (int64_t(at + block.x) * groups + group) * N : p.moments + (int64_t(block.y) * p.group + down) * p.pitch() + column;
      sums.leave(reinterpret_cast<float *>(own), to, p.width - column);
    }

    const int rows = tap * p.depth + (kind != TN ? p.pixels : DirectA ? p.depth : p.rows), first = tap * p.depth + first_row;
    const int64_t out = image * p.out_image + head * p.out_head + block.y * p.out_split;
    float *left = p.partial + (across ? int64_t(at + block.x) : int64_t(at - p.whole) * p.splits) * (M * N); // of a shared tile: its parts
    bool adding = false;
    const auto write = [&](int(&row)[Tile::batch], int(&col)[Tile::batch], float(&v)[Tile::batch][4]) {
      if (together || across && p.partial) {
        if (!adding) {
#pragma unroll
          for (int i = 0; i < Tile::batch; i++) store(left + (across ? 0 : part) * (M * N) + row[i] * N + col[i], v[i]);
          return;
        }
#pragma unroll
        for (int i = 0; i < Tile::batch; i++) v[i][0] = v[i][1] = v[i][2] = v[i][3] = 0;
#pragma unroll 2 // loads in flight
        for (int s = 0; s < p.splits; s++) {
#pragma unroll
          for (int i = 0; i < Tile::batch; i++) {
            float more[4];
            load(more, left + s * (M * N) + row[i] * N + col[i]);
#pragma unroll
            for (int j = 0; j < 4; j++) v[i][j] += more[j];
          }
        }
      }
#pragma unroll
      for (int i = 0; i < Tile::batch; i++) row[i] += first, col[i] += column;
      finish<T>(p, out, row, rows, col, v);
    };
    const auto measure = [&](int top, int group, const Moments &m) {
      if (first_row + top >= rows || column / p.group + group >= p.groups) return;
      float *at = p.moments + (first_row + top) / strip * 3 * p.groups + column / p.group + group;
      at[0] = m.count, at[p.groups] = m.mean, at[2 * p.groups] = m.squares;
    };
    if constexpr (across) {
      tile.join(reinterpret_cast<float *>(memory));
      if (group == 0) {
        tile.template each<deep_a>(reinterpret_cast<float *>(memory), write, 0, measure);
        Tile::sync(); // shared memory is free again
      }
    } else {
#pragma unroll 1
      for (;;) {
        tile.template each<deep_a>(reinterpret_cast<float *>(memory), write, kind == NN && (!together || adding) ? p.group : 0, measure);
        if (!together || adding || !last_of(arrived + at - p.whole, p.splits, reinterpret_cast<uint32_t *>(memory))) return;
        adding = true;
      }
    }
  } while (across && unit < units);
}

// sum_columns adds the parts of sums of b's columns, which lie behind those of splits: a block has 32 columns.
__device__ inline void sum_columns(const Product &p, int block) {
  __shared__ float rows[8][32];
  const int x = threadIdx.x % 32, y = threadIdx.x / 32, c = block * 32 + x;
  const float *from = p.partial + (p.tile_steps ? 1 : p.splits) * p.out_split; // out_split is 0 where no block shared a sum
  float total = 0;
  if (c < p.width && p.tile_steps) {
    const int column = p.part_column + c, n = 1 << p.tile_n_bits, tile_column = column >> p.tile_n_bits;
    from += column & n - 1;
#pragma unroll 8
    for (int i = y; i < p.groups * p.splits; i += 8) { // two of each part that a tile may have
      const int down = p.by_splits.divide(i), part = i - down * p.splits, tile = down * p.tiles_n + tile_column;
      const int block = p.by_chunk_steps.divide(tile * p.tile_steps) + part / 2;
      if (block <= p.by_chunk_steps.divide((tile + 1) * p.tile_steps - 1)) total += from[(int64_t(tile + block) * 2 + part % 2) * n];
    }
  } else if (c < p.width) {
#pragma unroll 8
    for (int i = y; i < p.groups; i += 8) total += from[int64_t(i) * p.pitch() + c];
  }
  rows[y][x] = total;
  __syncthreads();
  if (y > 0 || c >= p.width) return;
  for (int i = 1; i < 8; i++) total += rows[i][x];
  p.moments[c] = total;
}

// sum_splits adds what the blocks that shared a sum have left, in their order:
// a thread for four columns of a row, and blocks behind these for the sums of b's columns.
template <typename T>
__device__ inline void sum_splits(const Product &p, const uint3 &block) {
  const int chunks = p.pitch() / 4, own = (p.rows * chunks + blockDim.x - 1) / blockDim.x;
  if (block.x >= own) {
    sum_columns(p, block.x - own);
    return;
  }
  const int i = block.x * blockDim.x + threadIdx.x, row = p.by_chunks.divide(i);
  const int rows[1] = {row}, columns[1] = {(i - row * chunks) * 4};
  if (row >= p.rows) return;
  const float *partial = p.partial + (int64_t(row) * chunks + (i - row * chunks)) * 4;
  int64_t apart = p.out_split;
  int parts = p.splits;
  if (p.tile_steps) {
    const int tap = p.by_depth.divide(row), in = row - tap * p.depth, m = in >> p.tile_m_bits;
    const int column = p.part_column + columns[0], n = column >> p.tile_n_bits;
    const int tile = (tap * p.tap_tiles + m) * p.tiles_n + n, block = p.by_chunk_steps.divide(tile * p.tile_steps);
    apart = 1 << (p.tile_m_bits + p.tile_n_bits);
    partial = p.partial + (tile + block) * apart + ((in - (m << p.tile_m_bits)) << p.tile_n_bits) + column - (n << p.tile_n_bits);
    parts = p.by_chunk_steps.divide((tile + 1) * p.tile_steps - 1) - block + 1;
  }
  float v[1][4] = {};
#pragma unroll 8 // loads in flight
  for (int s = 0; s < parts; s++) {
    float more[4];
    load(more, partial + s * apart);
#pragma unroll
    for (int j = 0; j < 4; j++) v[0][j] += more[j];
  }
  finish<T>(p, 0, rows, p.rows, columns, v);
}
