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

// Place is the work of a block: its own rows, from this one on, of one head of one image, and some channels of the result.
struct Place {
  int image, head, own, channel;

  __device__ Place(const Attention &a, int rows) {
    const int at = blockIdx.x / a.tiles;
    own = (blockIdx.x - at * a.tiles) * rows;
    image = at / a.heads;
    head = at - image * a.heads;
    channel = blockIdx.y * width;
  }

  // numbers of the queries.
  __device__ float *numbers(const Attention &a, float *of) const { return of + int64_t(image * a.heads + head) * a.pixels; }
};

// Rows are a part of a tensor, queries, keys or values (0, 1, 2) or all of it, of the head of a place.
template <typename T>
struct Rows {
  const T *data;
  int32_t pitch, vectors;

  __device__ Rows(const Attention &a, const Place &at, const View &v, int part = 0) : pitch(v.pitch), vectors(v.vectors) {
    data = static_cast<const T *>(v.data) + int64_t(at.image * a.pixels) * v.pitch + (part * a.heads + at.head) * a.channels;
  }

  __device__ const T *at(int row, int channel) const { return data + int64_t(row) * pitch + channel; }
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

// again is x, which the compiler cannot know: it would make a loop of its own for every case.
__device__ inline int again(int x) {
  asm volatile("mov.u32 %0, %0;" : "+r"(x));
  return x;
}

__device__ inline uint32_t bits_of(float x) { return __float_as_uint(x); }
__device__ inline uint32_t bits_of(bf16 x) { return x.bits; }

// Half is that of a chunk: rows from first on, channels from channel on.
template <typename T>
struct Half {
  Rows<T> rows;
  int first, channel;
  bool pair; // 128 bytes of a row, or all channels of the result
  bool own;  // of own rows

  // copy brings it to shared memory. What does not exist is 0, or left out where 64 channels or more are lacking at the end of a single row.
  template <int Own>
  __device__ void copy(const Attention &a, uint32_t to) const {
    constexpr int whole = width * sizeof(T), log = whole == 512 ? 5 : 6; // pieces of 16 bytes
    static_assert(whole == 512 || whole == 1024, "or another logarithm");
    const int shift = pair ? 3 : log, mask = (1 << shift) - 1, count = Own < tile && own ? Own * 8 : operand_bytes / 16;
    if (rows.vectors) {
#pragma unroll
      for (int n = 0; n < operand_bytes / 16 / threads<Own>; n++) {
        const int i = n * threads<Own> + threadIdx.x;
        if (Own < tile && i >= count) break;
        const int row = i >> shift, piece = i & mask, c = channel + piece * vector<T>;
        if (!pair && c >= (a.channels + 63) / 64 * 64) continue;
        const int exist = first + row < a.pixels ? max(0, a.channels - c) : 0;
        const uint32_t at = (row << shift) + (piece ^ (row & 7)); // wide_offset
        copy_async(shared_address(memory) + to + at * 16, rows.at(exist ? first + row : 0, exist ? c : 0), min(16, exist * int(sizeof(T))));
      }
      return;
    }
    constexpr int each = 4 / sizeof(T);
#pragma unroll 1
    for (int i = threadIdx.x; i < count * 4; i += threads<Own>) { // words
      const int row = i >> (shift + 2), piece = i >> 2 & mask, c = channel + piece * vector<T> + i % 4 * each;
      uint32_t word = 0;
      if (first + row < a.pixels && c < a.channels) {
        const T *from = rows.at(first + row, c);
        word = bits_of(from[0]);
        if (each > 1 && c + 1 < a.channels) word |= bits_of(from[1]) << 16;
      }
      shared<uint32_t>(to + ((row << shift) + (piece ^ (row & 7))) * 16 + i % 4 * 4) = word;
    }
  }
};

// Steps of a tile of others: chunks of all channels of every pair of operands; then chunks of all rows of every single one.
template <typename T>
struct Steps {
  int pairs, all; // of one pair; of all
  __device__ Steps(const Attention &a, int pair, int single) : pairs((a.channels + pair_channels<T> - 1) / pair_channels<T>) {
    all = pair * pairs + single * single_steps<T>;
  }
};

// Own and other rows of a pair, by half; rows of a single operand.
template <typename T>
__device__ inline Half<T> pair_half(const Rows<T> &rows, const Place &at, int first, int step, int half) {
  return {rows, half ? first : at.own, step * pair_channels<T>, true, half == 0};
}
template <typename T>
__device__ inline Half<T> single_half(const Rows<T> &rows, const Place &at, int first, int step, int half) {
  return {rows, first + step * single_rows<T> + half * (single_rows<T> / 2), at.channel, false, false};
}

// stream visits the chunks of all tiles of others: visit(first, step, chunk). While a chunk is visited the next is on
// its way: the halves that half(first, step, 0 and 1) says. All threads see in a visit what was stored to shared memory in the one before.
template <int Own, typename Halves, typename Visit>
__device__ inline void stream(const Attention &a, int steps, Halves half, Visit visit) {
  int first = 0, step = -1, slot = 0;
#pragma unroll 1
  while (first < a.pixels) {
    copy_wait<0>();
    __syncthreads();
    const bool last = step + 1 == steps;
    const int next_first = last ? first + tile : first, next = last ? 0 : step + 1;
    if (next_first < a.pixels) {
#pragma unroll 1
      for (int i = 0; i < 2; i++) half(next_first, next, i).template copy<Own>(a, slot * chunk_bytes + i * operand_bytes);
      copy_commit();
    }
    slot ^= 1;
    if (step >= 0) visit(first, step, slot * chunk_bytes);
    if (++step == steps) step = 0, first += tile;
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

  __device__ static void load_a(uint32_t (&r)[4], uint32_t a, int i, int k) {
    ldmatrix<false>(r, shared_address(memory) + a + wide_offset<pair_bytes>(top() + i * 16 + lane() % 16, k / 8 + lane() / 16));
  }

  // pair adds the product of own rows by other rows of a chunk.
  __device__ static void pair(Square &s, uint32_t chunk) {
#pragma unroll 2
    for (int k = 0; k < pair_channels<bf16>; k += 16) {
      uint32_t x[4], y[4];
      ldmatrix<false>(y, shared_address(memory) + chunk + operand_bytes + wide_offset<pair_bytes>(left() + lane() % 8 + lane() / 16 * 8, k / 8 + lane() / 8 % 2));
#pragma unroll
      for (int i = 0; i < strips; i++) {
        load_a(x, chunk, i, k);
        mma(s.v[i][0], x, y[0], y[1]);
        mma(s.v[i][1], x, y[2], y[3]);
      }
    }
  }

  // single adds the product of columns of a square, from this one on, by the rows of a chunk, of which so many columns exist.
  __device__ static void single(Sum &sum, uint32_t square, int from, uint32_t chunk, int exist) {
#pragma unroll 1
    for (int k = 0; k < single_rows<bf16>; k += 16) {
      uint32_t x[strips][4];
#pragma unroll
      for (int i = 0; i < strips; i++) load_a(x[i], square, i, from + k);
#pragma unroll
      for (int j = 0; j < width / 64; j++) {
        if (j * 64 >= again(exist)) break;
        uint32_t y[4];
        ldmatrix<true>(y, shared_address(memory) + chunk + wide_offset<width * 2>(k + lane() % 16, j * 8 + left() / 8 + lane() / 16));
#pragma unroll
        for (int i = 0; i < strips; i++) mma(sum.v[i][2 * j], x[i], y[0], y[1]), mma(sum.v[i][2 * j + 1], x[i], y[2], y[3]);
      }
    }
  }

  // leave stores columns [64·Quarters·part, …) of a sum, or a square, to shared memory: rows of so many values.
  template <int Quarters, typename Of>
  __device__ static void leave(uint32_t to, Of &v, int part = 0) {
    const uint32_t at = to + wide_offset<Quarters * 128>(row(0), column(0) / 8) + lane() % 4 * 4;
#pragma unroll
    for (int i = 0; i < rows; i++) {
#pragma unroll
      for (int j = 0; j < 4 * Quarters; j += 2) { // column(2) is in the next piece, row(1) and column(4) at the same one of eight
        shared<uint32_t>((j % 4 ? at ^ 16 : at) + i * 8 * Quarters * 128 + j / 4 * 128) = narrow2(v.at(i, part * 4 * Quarters + j), v.at(i, part * 4 * Quarters + j + 1));
      }
    }
  }

  // take reads what leave has left of a square.
  __device__ static void take(Square &v, uint32_t from) {
    const uint32_t at = from + wide_offset<128>(row(0), column(0) / 8) + lane() % 4 * 4;
#pragma unroll
    for (int i = 0; i < rows; i++) widen2(v.at(i, 0), v.at(i, 1), shared<uint32_t>(at + i * 8 * 128)), widen2(v.at(i, 2), v.at(i, 3), shared<uint32_t>((at ^ 16) + i * 8 * 128));
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

  __device__ static void pair(Square &s, uint32_t chunk) {
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

  __device__ static void single(Sum &sum, uint32_t square, int from, uint32_t chunk, int exist) {
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
  const Rows<T> out(a, at, a.out, part);
#pragma unroll
  for (int n = 0; n < width / columns; n++) {
    __syncthreads();
    Tile<T, Own>::template leave<quarters>(0, sum, n);
    __syncthreads();
#pragma unroll 1
    for (int i = threadIdx.x; i < Own * pieces; i += threads<Own>) {
      const int row = at.own + i / pieces, c = at.channel + n * columns + i % pieces * vector<T>;
      if (row >= a.pixels || c >= a.channels) continue;
      T *to = const_cast<T *>(out.at(row, c));
      const uint32_t from = wide_offset<columns * int(sizeof(T))>(i / pieces, i % pieces);
      if (out.vectors && c + vector<T> <= a.channels) {
        *reinterpret_cast<uint4 *>(to) = shared<uint4>(from);
        continue;
      }
#pragma unroll 1
      for (int k = 0; k < min(vector<T>, a.channels - c); k++) to[k] = shared<T>(from + k * sizeof(T));
    }
  }
}
