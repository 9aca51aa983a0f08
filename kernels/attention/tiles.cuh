// Tiles of attention. A block computes rows of a result, its own, 64 or 16 of them, and streams 64 others at a time past them.
// Who owns a row changes no bit of it.
// A row is a pixel's channels of one head. Sums lie in registers; what they are made of comes through
// shared memory, in chunks.
#pragma once

#include "mma.cuh"

constexpr int tile = 64, width = 256; // rows of others; channels of the result that a block computes at most
template <int Own>
constexpr int threads = Own == 64 ? 256 : 128;

// View is a tensor with a row for each pixel of all images; cuda.go fills it and Attention in.
struct View {
  const void *data;
  int32_t pitch;   // elements
  int32_t vectors; // whether 16 bytes are aligned wherever a head begins
};

struct Attention {
  View qkv, dy, y, out; // out: y of forward, or the gradient of qkv
  float *sums;          // of each query log₂ Σ 2^scores; forward leaves it if it is not 0
  float *dots;          // of each query Σ dy·y, which attention_queries leaves and attention_keys takes
  float scale;          // of the gradient of scores; log₂e times as much of the scores themselves
  float scale2;
  int32_t pixels, heads, channels; // of an image; of a pixel; of a head
  int32_t tiles;                   // of an image
  int32_t wanted;                  // 0: the sums alone
};

// again is x, which the compiler cannot know: it does not compute it anew in a loop, nor make a loop for every case.
__device__ inline int again(int x) {
  asm volatile("" : "+r"(x));
  return x;
}
template <typename V>
__device__ inline V *again(V *x) {
  asm volatile("" : "+l"(x));
  return x;
}

// Place is the work of a block: its own rows, from this one on, of one head of one image, and some channels of the result.
struct Place {
  int image, head, own, channel, exist; // channels from this one on

  __device__ Place(const Attention &a, int rows) {
    const int at = blockIdx.x / a.tiles;
    own = (blockIdx.x - at * a.tiles) * rows;
    image = at / a.heads;
    head = at - image * a.heads;
    channel = again(blockIdx.y * width);
    exist = again(a.channels - channel);
  }

  // numbers of the queries.
  __device__ float *numbers(const Attention &a, float *of) const { return again(of + int64_t(image * a.heads + head) * a.pixels); }
};

// Rows are a part of a tensor, queries, keys or values, or all of it, of the head of a place.
template <typename T>
struct Rows {
  const T *data;
  int32_t pitch; // bytes

  __device__ Rows(const T *data, int32_t pitch) : data(data), pitch(pitch) {}
  __device__ Rows(const Attention &a, const Place &at, const View &v)
      : data(again(static_cast<const T *>(v.data) + int64_t(at.image * a.pixels) * v.pitch + at.head * a.channels)), pitch(v.pitch * int(sizeof(T))) {}

  // part is so many parts behind this one; or_if the others where that is so.
  __device__ Rows part(const Attention &a, int n) const { return {data + n * a.heads * a.channels, pitch}; }
  __device__ Rows or_if(bool so, const Rows &o) const { return {so ? o.data : data, so ? o.pitch : pitch}; }

  __device__ const T *at(int row, int channel) const {
    return reinterpret_cast<const T *>(reinterpret_cast<const uint8_t *>(data + channel) + int64_t(row) * pitch);
  }
};

// A chunk is 16 KB: of two operands 128 bytes of the channels of 64 rows each, to multiply rows by
// rows; or of one some rows of all channels of the result, to multiply probabilities by.
constexpr int pair_bytes = 128, operand_bytes = tile * pair_bytes, chunk_bytes = 2 * operand_bytes;
template <typename T>
constexpr int pair_channels = pair_bytes / sizeof(T);
template <typename T>
constexpr int single_rows = chunk_bytes / (width * sizeof(T));
template <typename T>
constexpr int single_steps = tile / single_rows<T>;
template <typename T, int Own>
constexpr int square_bytes = Own * tile * sizeof(T); // probabilities, or gradients of scores

// Shared memory is two chunks, one or two squares, and numbers of rows. Places in it are offsets.
extern __shared__ __align__(128) uint8_t memory[];
constexpr int square_at = 2 * chunk_bytes;

template <typename V>
__device__ inline V &shared(uint32_t at) { return *reinterpret_cast<V *>(memory + at); }

__device__ inline uint32_t bits_of(float x) { return __float_as_uint(x); }
__device__ inline uint32_t bits_of(bf16 x) { return x.bits; }

// copy brings so many rows to shared memory, Bytes of each. What does not exist is 0; nothing is read there. A thread has
// one piece of 16 bytes of every so many rows, whose addresses differ by constants.
template <typename T, int Own, int Bytes, int Count>
__device__ inline void copy(const Attention &a, const Rows<T> &rows, int first, int channel, uint32_t to) {
  constexpr int pieces = Bytes / 16, step = threads<Own> / pieces;
  const int row = threadIdx.x / pieces, piece = threadIdx.x % pieces, c = channel + piece * vector<T>;
  const int bytes = max(0, min(16, (a.channels - c) * int(sizeof(T)))), left = a.pixels - first - row;
  const T *from = rows.at(first + row, c);
  to += shared_address(memory);
#pragma unroll
  for (int n = 0; n < Count; n += step) {
    const uint32_t at = step % 8 ? wide_offset<Bytes>(row + n, piece) : wide_offset<Bytes>(row, piece) + n * Bytes;
    copy_async(to + at, reinterpret_cast<const uint8_t *>(from) + int64_t(n) * rows.pitch, n < left ? bytes : 0);
  }
}

// Chunk says what a chunk is: channels of own rows and of others, a pair; or rows of others alone, all channels of the result.
template <typename T>
struct Chunk {
  bool pair;
  Rows<T> own, others;
  int first, channel;

  // bring copies it to shared memory, but for 64 channels and more that are lacking at the end of a single row.
  template <int Own>
  __device__ void bring(const Attention &a, const Place &at, uint32_t to) const {
    constexpr int row_bytes = width * sizeof(T), log = row_bytes == 512 ? 5 : 6, each = 4 / sizeof(T);
    static_assert(row_bytes == 512 || row_bytes == 1024, "or another logarithm");
    if (a.qkv.vectors && a.dy.vectors) {
      if (pair) {
        copy<T, Own, pair_bytes, Own>(a, own, at.own, channel, to);
        copy<T, Own, pair_bytes, tile>(a, others, first, channel, to + operand_bytes);
      } else if (channel + int(threadIdx.x % (row_bytes / 16) * vector<T>) < (a.channels + 63) / 64 * 64) {
        copy<T, Own, row_bytes, single_rows<T>>(a, others, first, channel, to);
      }
      return;
    }
    const int shift = pair ? 3 : log;
#pragma unroll 1
    for (int i = threadIdx.x; i < chunk_bytes / 4; i += threads<Own>) { // words
      const int row = i >> (shift + 2), piece = i >> 2 & ((1 << shift) - 1), c = channel + piece * vector<T> + i % 4 * each;
      const bool mine = pair && row < tile;
      if (Own < tile && mine && row >= Own) continue;
      const int r = mine ? at.own + row : first + row - pair * tile;
      uint32_t word = 0;
      if (r < a.pixels && c < a.channels) {
        const T *from = others.or_if(mine, own).at(r, c);
        word = bits_of(from[0]);
        if (each > 1 && c + 1 < a.channels) word |= bits_of(from[1]) << 16;
      }
      shared<uint32_t>(to + ((row << shift) + (piece ^ (row & 7))) * 16 + i % 4 * 4) = word;
    }
  }
};

// Chunks that pairs and single operands have at a step of theirs.
template <typename T>
__device__ inline Chunk<T> pair_chunk(const Rows<T> &own, const Rows<T> &others, int first, int step) {
  return {true, own, others, first, step * pair_channels<T>};
}
template <typename T>
__device__ inline Chunk<T> single_chunk(const Rows<T> &others, const Place &at, int first, int step) {
  return {false, others, others, first + step * single_rows<T>, at.channel};
}

// Steps of a tile of others: chunks of all channels of every pair of operands; then chunks of all rows of every single one.
template <typename T>
struct Steps {
  int pairs, all; // of one pair; of all
  __device__ Steps(const Attention &a, int pair, int single) : pairs((a.channels + pair_channels<T> - 1) / pair_channels<T>) {
    all = pair * pairs + single * single_steps<T>;
  }
};

// stream visits the chunks of all tiles of others: visit(first, step, chunk). While a chunk is visited the next is on
// its way, which next(first, step) describes. All threads see in a visit what was stored to shared memory in the one before.
template <int Own, typename Next, typename Visit>
__device__ inline void stream(const Attention &a, const Place &at, int steps, Next next, Visit visit) {
  int first = 0, step = -1;
  uint32_t chunk = 0;
#pragma unroll 1
  while (first < a.pixels) {
    copy_wait<0>();
    __syncthreads();
    const bool last = step + 1 == steps;
    const int next_first = last ? first + tile : first, next_step = last ? 0 : step + 1;
    if (next_first < a.pixels) {
      next(next_first, next_step).template bring<Own>(a, at, chunk);
      copy_commit();
    }
    chunk ^= chunk_bytes;
    if (step >= 0) visit(first, step, chunk);
    first = next_first, step = next_step;
  }
}

// Tile is how threads share own rows of scores and of sums. Square has 64 columns, Sum 256.
template <typename T, int Own>
struct Tile;

// On tensor cores. A warp has 32 or 16 rows, and of every 64 columns 16. Fragments are those of gemm_bf16.cu.
template <int Own>
struct Tile<bf16, Own> {
  static constexpr int lanes = 4; // of a row, in each of four warps
  static constexpr int strips = Own == 64 ? 2 : 1, rows = 2 * strips;
  template <int Quarters>
  struct Of {
    float v[strips][2 * Quarters][4] = {};
    __device__ float &at(int i, int j) { return v[i / 2][j / 2][i % 2 * 2 + j % 2]; }
    static constexpr int columns = 4 * Quarters;
  };
  using Square = Of<1>;
  using Sum = Of<width / 64>;

  __device__ static int lane() { return threadIdx.x % 32; }
  __device__ static int top() { return Own == 64 ? threadIdx.x / 128 * 32 : 0; }
  __device__ static int left() { return threadIdx.x / 32 % 4 * 16; }
  __device__ static int row(int i) { return top() + lane() / 4 + i * 8; }
  __device__ static int column(int j) { return j / 4 * 64 + left() + j / 2 % 2 * 8 + lane() % 4 * 2 + j % 2; }

  // Where fragments begin, of own rows of 128 bytes, of others, and of single rows. Those of other channels are there up to
  // an exclusive or, those of 16 rows more at a constant distance.
  const uint32_t own_at = again(shared_address(memory) + wide_offset<pair_bytes>(top() + lane() % 16, lane() / 16));
  const uint32_t other_at = again(shared_address(memory) + operand_bytes + wide_offset<pair_bytes>(left() + lane() % 8 + lane() / 16 * 8, lane() / 8 % 2));
  const uint32_t single_at = shared_address(memory) + wide_offset<width * 2>(lane() % 16, left() / 8 + lane() / 16);

  // pair adds the product of own rows by other rows of a chunk.
  __device__ void pair(Square &s, uint32_t chunk) const {
    const uint32_t own = own_at + chunk, other = other_at + chunk;
#pragma unroll
    for (int k = 0; k < pair_channels<bf16>; k += 16) {
      uint32_t x[4], y[4];
      ldmatrix<false>(y, other ^ 2 * k);
#pragma unroll
      for (int i = 0; i < strips; i++) {
        ldmatrix<false>(x, (own ^ 2 * k) + i * 16 * pair_bytes);
        mma(s.v[i][0], x, y[0], y[1]);
        mma(s.v[i][1], x, y[2], y[3]);
      }
    }
  }

  // single adds the product of columns of a square, from this one on, by the rows of a chunk, of which so many columns exist.
  __device__ void single(Sum &sum, uint32_t square, int from, uint32_t chunk, int exist) const {
    constexpr int count = single_rows<bf16> / 16;
    const uint32_t own = (own_at + square) ^ 2 * from, other = single_at + chunk;
    uint32_t x[count][strips][4];
#pragma unroll
    for (int k = 0; k < count; k++) {
#pragma unroll
      for (int i = 0; i < strips; i++) ldmatrix<false>(x[k][i], (own ^ 32 * k) + i * 16 * pair_bytes);
    }
#pragma unroll
    for (int j = 0; j < width / 64; j++) {
      if (j * 64 >= exist) break;
#pragma unroll
      for (int k = 0; k < count; k++) {
        uint32_t y[4];
        ldmatrix<true>(y, other + k * 16 * width * 2 + j * 128);
#pragma unroll
        for (int i = 0; i < strips; i++) mma(sum.v[i][2 * j], x[k][i], y[0], y[1]), mma(sum.v[i][2 * j + 1], x[k][i], y[2], y[3]);
      }
    }
  }

  // leave stores columns [64·Quarters·part, …) of a sum, or a square, to shared memory: rows of so many values.
  template <int Quarters, typename Of>
  __device__ static void leave(uint32_t to, Of &v, int part = 0) {
    const uint32_t at = to + wide_offset<Quarters * 128>(row(0), column(0) / 8) + lane() % 4 * 4;
    uint32_t *even = &shared<uint32_t>(at), *odd = &shared<uint32_t>(at ^ 16);
#pragma unroll
    for (int i = 0; i < rows; i++) {
#pragma unroll
      for (int j = 0; j < 4 * Quarters; j += 2) { // column(2) is in the next piece, row(1) and column(4) at the same one of eight
        (j % 4 ? odd : even)[(i * 8 * Quarters + j / 4) * 32] = narrow2(v.at(i, part * 4 * Quarters + j), v.at(i, part * 4 * Quarters + j + 1));
      }
    }
  }

  // take reads what leave has left of a square.
  __device__ static void take(Square &v, uint32_t from) {
    const uint32_t at = from + wide_offset<128>(row(0), column(0) / 8) + lane() % 4 * 4;
    const uint32_t *even = &shared<uint32_t>(at), *odd = &shared<uint32_t>(at ^ 16);
#pragma unroll
    for (int i = 0; i < rows; i++) widen2(v.at(i, 0), v.at(i, 1), even[i * 8 * 32]), widen2(v.at(i, 2), v.at(i, 3), odd[i * 8 * 32]);
  }
};

// In float32 on the ordinary units. Threads lie 16 down and 16 across. Columns of a square are 16 apart, so
// that lanes read rows of shared memory that are neighbours; columns of a sum are four neighbours each.
template <>
struct Tile<float, 64> {
  static constexpr int lanes = 16, rows = 4;
  template <int Quarters>
  struct Of {
    static constexpr int columns = 4 * Quarters;
    float v[4][columns] = {};
    __device__ float &at(int i, int j) { return v[i][j]; }
  };
  using Square = Of<1>;
  using Sum = Of<width / 64>;

  __device__ static int down() { return threadIdx.x / 16; }
  __device__ static int across() { return threadIdx.x % 16; }
  __device__ static int row(int i) { return down() * 4 + i; }
  __device__ static int column(int j) { return across() + 16 * j; } // of a square

  __device__ void pair(Square &s, uint32_t chunk) const {
#pragma unroll 1
    for (int piece = 0; piece < pair_bytes / 16; piece++) {
      float x[4][4];
#pragma unroll
      for (int i = 0; i < 4; i++) load(x[i], &shared<float>(chunk + wide_offset<pair_bytes>(row(i), piece)));
#pragma unroll
      for (int j = 0; j < 4; j++) {
        float y[4];
        load(y, &shared<float>(chunk + operand_bytes + wide_offset<pair_bytes>(column(j), piece)));
#pragma unroll
        for (int k = 0; k < 4; k++) {
#pragma unroll
          for (int i = 0; i < 4; i++) s.v[i][j] = fmaf(x[i][k], y[k], s.v[i][j]);
        }
      }
    }
  }

  __device__ void single(Sum &sum, uint32_t square, int from, uint32_t chunk, int exist) const {
#pragma unroll 1
    for (int k = 0; k < single_rows<float>; k++) {
      float x[4];
#pragma unroll
      for (int i = 0; i < 4; i++) x[i] = shared<float>(square + wide_offset<tile * 4>(row(i), (from + k) / 4) + k % 4 * 4);
#pragma unroll
      for (int j = 0; j < width / 64; j++) {
        if (j * 64 >= again(exist)) break;
        float y[4];
        load(y, &shared<float>(chunk + wide_offset<width * 4>(k, across() + 16 * j)));
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
          for (int c = 0; c < 4; c++) sum.v[i][4 * j + c] = fmaf(x[i], y[c], sum.v[i][4 * j + c]);
        }
      }
    }
  }

  template <int Quarters, typename Of>
  __device__ static void leave(uint32_t to, Of &v, int part = 0) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 4 * Quarters; j += 4) {
        if constexpr (Of::columns > 4) {
          store(&shared<float>(to + wide_offset<Quarters * 256>(row(i), j / 4 * 16 + across())), reinterpret_cast<const float(&)[4]>(v.v[i][part * 4 * Quarters + j]));
        } else {
#pragma unroll
          for (int n = 0; n < 4; n++) shared<float>(to + wide_offset<256>(row(i), column(n) / 4) + column(n) % 4 * 4) = v.v[i][n];
        }
      }
    }
  }

  __device__ static void take(Square &v, uint32_t from) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int n = 0; n < 4; n++) v.v[i][n] = shared<float>(from + wide_offset<256>(row(i), column(n) / 4) + column(n) % 4 * 4);
    }
  }
};

// write writes a sum to a part of the result, by way of shared memory, so that warps write whole rows.
template <typename T, int Own>
__device__ inline void write(const Attention &a, const Place &at, int part, typename Tile<T, Own>::Sum &sum) {
  constexpr int quarters = 2 * chunk_bytes / (64 * 64 * sizeof(T)), columns = quarters * 64, pieces = columns / vector<T>;
  const Rows<T> out = Rows<T>(a, at, a.out).part(a, part);
#pragma unroll
  for (int n = 0; n < width / columns; n++) {
    __syncthreads();
    Tile<T, Own>::template leave<quarters>(0, sum, n);
    __syncthreads();
    const int piece = threadIdx.x % pieces, c = at.channel + n * columns + piece * vector<T>, rows = c < a.channels ? min(Own, a.pixels - at.own) : 0;
#pragma unroll 1
    for (int row = threadIdx.x / pieces; row < rows; row += threads<Own> / pieces) {
      T *to = const_cast<T *>(out.at(at.own + row, c));
      const uint32_t from = wide_offset<columns * int(sizeof(T))>(row, piece);
      if (a.out.vectors && c + vector<T> <= a.channels) {
        *reinterpret_cast<uint4 *>(to) = shared<uint4>(from);
        continue;
      }
#pragma unroll 1
      for (int k = 0; k < min(vector<T>, a.channels - c); k++) to[k] = shared<T>(from + k * sizeof(T));
    }
  }
}
