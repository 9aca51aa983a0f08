// Products of bf16 by wgmma: Hopper's tensor cores read both operands from shared memory, at up to 1.7 times the
// rate of mma.sync. Two groups of four warps multiply, a thread of another copies boxes of tensors there; see README.md.
// targets: compute_90a
#include "hopper.cuh"
#include "product.cuh"

// A step is 64 of k. An operand's tile is rows of 128 bytes, swizzled: of k for each index m or n, or
// of 64 indices m or n for each k, as it lies in global memory.
constexpr int depth = 64, row_bytes = 128, width = 128, group_threads = 128;
constexpr int panel = 64 * row_bytes; // of 64 m or n, however they lie

// Group is four warps with tiles of 64×128 of the result.
template <Kind kind, int tiles>
struct Group {
  static constexpr bool side_a = kind == TN, side_b = kind != NT;
  // Results leave through shared memory, so that a warp writes whole rows; all tiles of a group at once, but for TN.
  static constexpr int together = kind == TN ? 1 : tiles, pitch = width + 8, strip_floats = together * 64 * pitch + 3 * group_threads;
  static constexpr int batch = 4, chunks = width / 4, apart = group_threads / chunks; // rows that a thread writes: four columns of each
  static_assert(64 == 4 * apart * batch, "a thread writes four batches of a strip");

  float sum[tiles][64] = {};

  // step multiplies tiles of a, which have these descriptors, and b.
  __device__ void step(const uint64_t (&a)[tiles], uint64_t b) {
    constexpr int k_a = (side_a ? 16 * row_bytes : 32) / 16, k_b = (side_b ? 16 * row_bytes : 32) / 16;
    multiply_begin();
#pragma unroll
    for (int k = 0; k < depth / 16; k++) {
      uint64_t from[tiles];
#pragma unroll
      for (int i = 0; i < tiles; i++) from[i] = a[i] + k * k_a;
      multiply<side_a, side_b>(sum, from, b + k * k_b);
    }
    multiply_commit();
  }

  // moments of values as they are after rounding.
  __device__ static Moments moments(const float (&v)[batch][4]) {
    Moments m = {batch * 4, 0, 0};
    float r[batch * 4];
#pragma unroll
    for (int i = 0; i < batch * 4; i += 2) {
      widen2(r[i], r[i + 1], narrow2(v[i / 4][i % 4], v[i / 4][i % 4 + 1]));
      m.mean += r[i] + r[i + 1];
    }
    m.mean /= batch * 4;
#pragma unroll
    for (int i = 0; i < batch * 4; i++) {
      const float d = r[i] - m.mean;
      m.squares = fmaf(d, d, m.squares);
    }
    return m;
  }

  // alike is what is added to four columns of all rows of a strip that begins there.
  __device__ static void alike(const Product &p, int first, int column, bool there, float (&extra)[4]) {
#pragma unroll
    for (float &e : extra) e = 0;
    if (there && p.bias) load(extra, p.bias + column);
    if (there && p.per_image) {
      float image[4];
      load(image, p.per_image + int64_t(p.by_grid_size.divide(first)) * p.per_image_pitch + column);
#pragma unroll
      for (int j = 0; j < 4; j++) extra[j] += image[j];
    }
  }

  // whole writes 64 rows from first on, as finish does, where row i of the product is row i of the result. They are of one
  // image if there is a vector for each. added says that there is an addend.
  template <typename Out, bool added>
  __device__ static Moments whole(const Product &p, const float *shared, int first, int rows, int column, int64_t out, bool measured) {
    const int thread = threadIdx.x % group_threads, c = column + thread % chunks * 4, row = first + thread / chunks;
    const bool there = c < p.width && first < rows;
    int left = there ? rows - row : 0; // rows from this one on
    float extra[4];
    alike(p, first, c, there, extra);
    Out *to = static_cast<Out *>(p.out) + out + int64_t(row) * p.out_pitch + c;
    const bf16 *add = static_cast<const bf16 *>(p.add) + int64_t(row) * p.add_pitch + c;
    const int64_t next = int64_t(apart) * p.out_pitch, next_add = int64_t(apart) * p.add_pitch;
    shared += thread / chunks * pitch + thread % chunks * 4;
    Moments mine = {};
#pragma unroll 1
    for (int i = 0; i < 4; i++, left -= apart * batch, shared += apart * batch * pitch) {
      float v[batch][4];
#pragma unroll
      for (int k = 0; k < batch; k++) {
        float more[4] = {};
        if (added && k * apart < left) load(more, add);
        load(v[k], shared + k * apart * pitch);
#pragma unroll
        for (int j = 0; j < 4; j++) v[k][j] += added ? extra[j] + more[j] : extra[j];
        add += next_add;
      }
#pragma unroll
      for (int k = 0; k < batch; k++, to += next) {
        if (k * apart < left) store(to, v[k]);
      }
      if (!measured) continue;
      const Moments m = moments(v); // of as many values each time, so that Moments::join needs no division
      const float share = i == 0 ? 1 : i == 1 ? 0.5f : i == 2 ? 1 / 3.f : 0.25f, between = m.mean - mine.mean;
      mine.squares += m.squares + between * between * mine.count * share;
      mine.mean += between * share;
      mine.count += m.count;
    }
    return mine;
  }

  // strip_of writes 64 rows, wherever they go.
  __device__ static Moments strip_of(const Product &p, const float *shared, int first, int rows, int column, int64_t out, bool measured) {
    if (!p.mapped || (p.out_step == 1 && p.out_size == p.grid_size && p.out_w == p.grid_w)) {
      if (p.float_out && !p.add) return whole<float, false>(p, shared, first, rows, column, out, false);
      if (kind != TN && !p.float_out) return p.add ? whole<bf16, true>(p, shared, first, rows, column, out, measured) : whole<bf16, false>(p, shared, first, rows, column, out, measured);
    }
    const int thread = threadIdx.x % group_threads, c = column + thread % chunks * 4;
    const bool there = c < p.width && first < rows;
    float extra[4];
    alike(p, first, c, there, extra);
#pragma unroll 1
    for (int i = thread / chunks; there && i < 64 && first + i < rows; i += apart) {
      const int64_t at = place(p, first + i).row;
      float v[4], more[4] = {};
      load(v, shared + i * pitch + thread % chunks * 4);
      if (p.add) load(more, static_cast<const bf16 *>(p.add) + at * p.add_pitch + c);
#pragma unroll
      for (int j = 0; j < 4; j++) v[j] += extra[j] + more[j];
      if (p.float_out) {
        store(static_cast<float *>(p.out) + out + at * p.out_pitch + c, v);
      } else {
        store(static_cast<bf16 *>(p.out) + out + at * p.out_pitch + c, v);
      }
    }
    return {};
  }

  // write brings the sums out and leaves their moments. first is the row of the product at the group's first
  // sum, rows and columns those that there are.
  __device__ void write(const Product &p, float *shared, int barrier, int first, int rows, int column, int64_t out) {
    Moments *parts = reinterpret_cast<Moments *>(shared + together * 64 * pitch); // [apart][chunks]
    const int thread = threadIdx.x % group_threads, lane = thread % 32;
    const bool measured = kind == NN && p.group;
    float *mine = shared + (thread / 32 * 16 + lane / 4) * pitch + lane % 4 * 2;
#pragma unroll
    for (int top = 0; top < tiles; top += together) {
      if (top > 0) group_sync<group_threads>(barrier);
#pragma unroll
      for (int i = 0; i < together; i++) {
#pragma unroll
        for (int j = 0; j < width / 8; j++) {
          const float(&s)[64] = sum[top + i];
          float *at = mine + i * 64 * pitch + j * 8;
          *reinterpret_cast<float2 *>(at) = make_float2(s[4 * j], s[4 * j + 1]);
          *reinterpret_cast<float2 *>(at + 8 * pitch) = make_float2(s[4 * j + 2], s[4 * j + 3]);
        }
      }
      group_sync<group_threads>(barrier);
#pragma unroll 1
      for (int i = 0; i < together; i++) {
        const int row = first + (top + i) * 64;
        const float *from = shared + i * 64 * pitch;
        const Moments left = strip_of(p, from, row, rows, column, out, measured);
        if constexpr (kind == NN) {
          if (!measured) continue;
          parts[thread] = left;
          group_sync<group_threads>(barrier);
          const int quarter = p.group / 4;
          for (int g = thread; g < width / p.group; g += group_threads) {
            Moments all = {};
#pragma unroll 1
            for (int k = 0; k < apart * quarter; k++) all.join(parts[k / quarter * chunks + g * quarter + k % quarter]);
            if (row >= rows || column / p.group + g >= p.groups) continue;
            float *at = p.moments + row / strip * 3 * p.groups + column / p.group + g;
            at[0] = all.count, at[p.groups] = all.mean, at[2 * p.groups] = all.squares;
          }
          if (i + 1 < together) group_sync<group_threads>(barrier);
        }
      }
    }
  }
};

// group_of_warp is the group of this warp, of which the compiler knows that it is that of all lanes.
__device__ inline int group_of_warp() { return __shfl_sync(0xffffffffu, threadIdx.x / group_threads, 0); }

// Ring is stages of shared memory that are filled and emptied in turn: by one thread, and by all warps of the groups.
template <int stages>
struct Ring {
  uint32_t full, empty; // mbarriers, of 8 bytes each
  uint32_t at = 0, before = 0; // of this stage and of the one before it, from the first on
  uint32_t parity;

  // Whoever fills begins where all are empty.
  __device__ Ring(uint32_t barriers, bool fills) : full(barriers), empty(barriers + 8 * stages), parity(fills) {}

  // Of so many groups each warp must say that a stage is empty again.
  __device__ void make(int groups) const {
    for (int i = 0; i < stages; i++) {
      barrier_init(full + 8 * i, 1);
      barrier_init(empty + 8 * i, groups * group_threads / 32);
    }
  }
  // offset of this stage's memory, if a stage has a piece of so many bytes, or units of them.
  template <int piece>
  __device__ uint32_t offset() const {
    static_assert(piece % 8 == 0, "a barrier has 8 bytes");
    return at * (piece / 8);
  }
  // take waits for a stage that is empty, of which so many bytes will be filled; the barrier is where they are told.
  __device__ uint32_t take(int bytes) const {
    barrier_wait(empty + at, parity);
    barrier_expect(full + at, bytes);
    return full + at;
  }
  __device__ void wait() const { barrier_wait(full + at, parity); }
  // release the stage before this one; one lane of a warp says it.
  __device__ void release() const { barrier_arrive(empty + before); }
  // release it for the other block of a pair, too, whose ring is there.
  __device__ void release(uint32_t other_empty) const {
    barrier_arrive(empty + before);
    barrier_arrive_there(other_empty + before);
  }
  __device__ void next() {
    before = at;
    at += 8;
    if (at == 8 * stages) at = 0, parity ^= 1;
  }
};

// Columns are sums of b's columns, for the gradient of a bias. Blocks above each other have the same tiles of b, and
// so have their groups: they take turns, a step each.
struct Columns {
  static constexpr int chunk = 8, rows = group_threads / (width / chunk); // columns of a thread; rows that a group reads at a time
  static_assert(rows == 8, "a thread reads the same row of each piece of the swizzle");
  float sum[chunk] = {};
  int turn, turns; // steps until this group's; how many take turns
  uint32_t at;     // of the tile

  // Of so many groups of the block, this one.
  __device__ Columns(const Product &p, int down, int groups, int group) : turns(p.moments ? p.group : 1 << 30) {
    const int thread = threadIdx.x % group_threads, c = thread % 8, row = thread / 16;
    turn = p.moments ? down * groups + group : turns;
    at = thread / 8 % 2 * panel + row * row_bytes + (c ^ row) * 16;
  }

  __device__ void step(uint32_t b) {
    if (turn-- > 0) return;
    turn = turns - 1;
#pragma unroll
    for (int i = 0; i < depth / rows; i++) {
      uint4 word;
      shared_load(word, b + at + i * rows * row_bytes);
      float v[chunk];
      load(v, reinterpret_cast<const bf16 *>(&word));
#pragma unroll
      for (int j = 0; j < chunk; j++) sum[j] += v[j];
    }
    __syncwarp(); // before one lane says that the warp has read it
  }

  // leave writes the sums of the columns from this one on. The group's shared memory is free before and after.
  __device__ void leave(const Product &p, float *shared, int barrier, int row, int column) const {
    if (!p.moments) return;
    const int thread = threadIdx.x % group_threads;
    store(shared + thread / 16 * width + thread / 8 % 2 * 64 + thread % 8 * chunk, sum);
    group_sync<group_threads>(barrier);
    float all = 0;
#pragma unroll
    for (int r = 0; r < rows; r++) all += shared[r * width + thread];
    if (column + thread < p.width) p.moments[int64_t(row) * p.pitch() + column + thread] = all;
    group_sync<group_threads>(barrier);
  }
};

// copy_weights copies a tile of b for nn or nt: 64 of k from this one on, of a matrix of weights.
template <Kind kind>
__device__ inline void copy_weights(uint32_t to, const TensorMap &map, uint32_t ready, int column, int k, int weights) {
  if constexpr (kind == NN) {
    copy_box(to, map, ready, column, k, weights);
    copy_box(to + panel, map, ready, column + 64, k, weights);
  } else {
    copy_box(to, map, ready, k, column, weights);
  }
}

// aligned is where memory begins that was asked for 1024 bytes larger than needed: eight rows of a swizzle are 1024 bytes.
__device__ inline uint32_t aligned(const void *memory) { return (shared_address(memory) + 1023) & ~1023; }

extern __shared__ uint8_t dynamic[];

__device__ inline float *generic(uint32_t shared) { return reinterpret_cast<float *>(dynamic + (shared - shared_address(dynamic))); }

// multiply_tile makes M×128 of the result. Where registers are given, those that copy keep so many
// of them, and those that multiply have so many. Pairs of blocks side by side are clusters that have the same tiles of a: each
// copies half of it to both.
template <Kind kind, int M, int stages, int copying, int multiplying, bool pair = false>
__device__ inline void multiply_tile(const TensorMap &map_a, const TensorMap &map_b, const Product &p) {
  constexpr int groups = 2, tiles = M / 64 / groups, bytes_a = M * row_bytes, bytes = bytes_a + width * row_bytes;
  static_assert(groups * Group<kind, tiles>::strip_floats * 4 <= stages * bytes, "results leave through the memory of the stages");
  __shared__ uint64_t barriers[2 * stages];
  const uint32_t memory = aligned(dynamic);
  const bool fills = threadIdx.x >= groups * group_threads;
  Ring<stages> ring(shared_address(barriers), fills);

  const int down = p.by_tiles_n.divide(blockIdx.x), column = (blockIdx.x - down * p.tiles_n) * width;
  const int tap = kind == TN ? p.by_tap_tiles.divide(down) : 0;
  const int first_row = (down - tap * p.tap_tiles) * M;
  const int from = blockIdx.y * p.split_steps, to = min(from + p.split_steps, p.steps);

  if (threadIdx.x == 0) {
    ring.make(pair ? 2 * groups : groups);
    barrier_publish();
  }
  if constexpr (pair) {
    cluster_begin();
  } else {
    __syncthreads();
  }

  if (fills) {
    if constexpr (copying > 0) give_registers<copying>();
    if (threadIdx.x > groups * group_threads) return;
    constexpr int mine = pair ? M / 2 : M; // rows of a that this block copies
    const int skip = pair ? cluster_rank() * mine : 0;
    const Product::Pixel g = p.pixel(kind == TN ? 0 : first_row + skip);
    for (int i = from; i < to; i++) {
      const uint32_t ready = ring.take(bytes), a = memory + ring.template offset<bytes>(), b = a + bytes_a;
      const int chunk = kind == TN ? 0 : p.by_chunk_steps.divide(i), at = kind == TN ? tap : i - chunk * p.taps, tap_y = p.by_taps_x.divide(at), tap_x = at - tap_y * p.taps_x;
      const int y = p.origin_y + p.direction * tap_y, x = p.origin_x + p.direction * tap_x;
      if constexpr (kind == TN) {
        const Product::Pixel k = p.pixel(i * depth);
#pragma unroll
        for (int j = 0; j < mine / 64; j++) {
          const int row = skip + j * 64;
          if constexpr (pair) {
            copy_box_to_both(a + row * row_bytes, map_a, ready, first_row + row, k.x * p.stride + x, k.y * p.stride + y, k.image);
          } else {
            copy_box(a + j * panel, map_a, ready, first_row + j * 64, k.x * p.stride + x, k.y * p.stride + y, k.image);
          }
        }
        copy_box(b, map_b, ready, column, i * depth, 0);
        copy_box(b + panel, map_b, ready, column + 64, i * depth, 0);
      } else {
        const int k = chunk * depth;
        if constexpr (pair) {
          copy_box_to_both(a + skip * row_bytes, map_a, ready, k, g.x * p.stride + x, g.y * p.stride + y, g.image);
        } else {
          copy_box(a, map_a, ready, k, g.x * p.stride + x, g.y * p.stride + y, g.image);
        }
        copy_weights<kind>(b, map_b, ready, column, k, p.tap_first + tap_y * p.tap_step_y + tap_x * p.tap_step_x);
      }
      ring.next();
    }
    return;
  }

  if constexpr (multiplying > 0) take_registers<multiplying>();
  Group<kind, tiles> mine;
  const int group = group_of_warp();
  const bool tells = threadIdx.x % 32 == 0; // that the warp has read a stage
  const uint64_t first_a = descriptor<panel>(memory + group * tiles * panel), first_b = descriptor<panel>(memory + bytes_a);
  Columns columns(p, down, groups, group);
  const uint32_t other_empty = pair ? barrier_of(cluster_rank() ^ 1, ring.empty) : 0;
  int i = from; // < to; the assembler must know that there is a step, or it lets each product end before the next
#pragma unroll 1
  do {
    ring.wait();
    const uint64_t slot = ring.template offset<bytes / 16>();
    uint64_t a[tiles];
#pragma unroll
    for (int j = 0; j < tiles; j++) a[j] = first_a + slot + j * (panel / 16);
    mine.step(a, first_b + slot);
    if constexpr (kind == TN) columns.step(memory + ring.template offset<bytes>() + bytes_a);
    multiply_wait<1>(); // the step before is over
    if constexpr (pair) { // a block may end when nobody waits for it any more, so that none says what nobody waits for
      if (i > from && i + stages <= to && tells) ring.release(other_empty);
    } else {
      if (i > from && tells) ring.release();
    }
    ring.next();
  } while (++i < to);
  multiply_wait<0>();
  group_sync<groups * group_threads>(1); // what the other group multiplied lies where this one's results go

  const int rows = tap * p.depth + (kind == TN ? p.depth : p.pixels);
  if constexpr (kind == TN) columns.leave(p, generic(memory) + group * mine.strip_floats, 2 + group, blockIdx.y * p.group + down * groups + group, column);
  mine.write(p, generic(memory) + group * mine.strip_floats, 2 + group, tap * p.depth + first_row + group * (M / groups), rows, column, blockIdx.y * p.out_split);
}

// Three taps above each other read nearly the same pixels, and they are copied once: a box is two rows of the image taller
// than the pixels that a step multiplies, and the taps are rows of it. Rows of the image are 8 pixels or a
// multiple, so each tap begins at a multiple of eight rows of the swizzle. A step is 64 channels and a column of taps.

// multiply_tall makes M×128 of the result. Boxes of pixels and tiles of weights have rings of their own.
template <Kind kind, int M, int weights, int copying, int multiplying>
__device__ inline void multiply_tall(const TensorMap &map_a, const TensorMap &map_b, const Product &p) {
  constexpr int groups = 2, tiles = M / 64 / groups, boxes = 2, weights_bytes = width * row_bytes;
  constexpr int box_bytes = (M + 64) * row_bytes; // up to two rows more of 32 pixels, or of each of four images of 8×8
  static_assert(groups * Group<kind, tiles>::strip_floats * 4 <= boxes * box_bytes + weights * weights_bytes, "results leave through the memory of the rings");
  __shared__ uint64_t barriers[2 * boxes + 2 * weights];
  const uint32_t memory_a = aligned(dynamic), memory_b = memory_a + boxes * box_bytes;
  const bool fills = threadIdx.x >= groups * group_threads;
  Ring<boxes> ring_a(shared_address(barriers), fills);
  Ring<weights> ring_b(shared_address(barriers + 2 * boxes), fills);

  const int down = p.by_tiles_n.divide(blockIdx.x), column = (blockIdx.x - down * p.tiles_n) * width, first_row = down * M;
  const int from = blockIdx.y * p.split_steps, to = min(from + p.split_steps, p.steps);
  const int image = min(M, p.grid_size); // pixels of one in the box

  if (threadIdx.x == 0) {
    ring_a.make(groups);
    ring_b.make(groups);
    barrier_publish();
  }
  __syncthreads();

  if (fills) {
    if constexpr (copying > 0) give_registers<copying>();
    if (threadIdx.x > groups * group_threads) return;
    const Product::Pixel g = p.pixel(first_row);
    const int y = g.y + p.origin_y - (p.direction < 0 ? 2 : 0), bytes = (M + M / image * 2 * p.grid_w) * row_bytes;
    for (int i = from; i < to; i++) {
      const int chunk = p.by_chunk_steps.divide(i), tap_x = i - chunk * p.taps_x, k = chunk * depth;
      copy_box(memory_a + ring_a.template offset<box_bytes>(), map_a, ring_a.take(bytes), k, g.x + p.origin_x + p.direction * tap_x, y, g.image);
      ring_a.next();
      for (int tap_y = 0; tap_y < 3; tap_y++) {
        copy_weights<kind>(memory_b + ring_b.template offset<weights_bytes>(), map_b, ring_b.take(weights_bytes), column, k, p.tap_first + tap_y * p.tap_step_y + tap_x * p.tap_step_x);
        ring_b.next();
      }
    }
    return;
  }

  if constexpr (multiplying > 0) take_registers<multiplying>();
  Group<kind, tiles> mine;
  const int group = group_of_warp();
  const bool tells = threadIdx.x % 32 == 0; // that the warp has read a stage
  const uint64_t first_b = descriptor<panel>(memory_b);
  uint64_t first_a[tiles]; // of the box, where a tile begins
#pragma unroll
  for (int j = 0; j < tiles; j++) {
    const int row = (group * tiles + j) * 64;
    first_a[j] = descriptor<panel>(memory_a + (row + row / image * 2 * p.grid_w + (p.direction < 0 ? 2 * p.grid_w : 0)) * row_bytes);
  }
  const int64_t tap = p.direction * p.grid_w * (row_bytes / 16); // from one to the next
  int i = from;
#pragma unroll 1
  do {
    ring_a.wait();
    uint64_t a[tiles];
#pragma unroll
    for (int j = 0; j < tiles; j++) a[j] = first_a[j] + ring_a.template offset<box_bytes / 16>();
#pragma unroll
    for (int tap_y = 0; tap_y < 3; tap_y++) {
      ring_b.wait();
      mine.step(a, first_b + ring_b.template offset<weights_bytes / 16>());
#pragma unroll
      for (int j = 0; j < tiles; j++) a[j] += tap;
      multiply_wait<1>();
      if ((i > from || tap_y > 0) && tells) ring_b.release();
      if (i > from && tap_y == 0 && tells) ring_a.release();
      ring_b.next();
    }
    ring_a.next();
  } while (++i < to);
  multiply_wait<0>();
  group_sync<groups * group_threads>(1);
  mine.write(p, generic(memory_a) + group * mine.strip_floats, 2 + group, first_row + group * (M / groups), p.pixels, column, blockIdx.y * p.out_split);
}

// multiply_tall_gradient makes 128×128 of the gradient of three taps above each other, one for each group.
__device__ inline void multiply_tall_gradient(const TensorMap &map_a, const TensorMap &map_b, const Product &p) {
  constexpr int groups = 3, tiles = 2, M = 128, stages = 4, bytes = 48 << 10;
  __shared__ uint64_t barriers[2 * stages];
  const uint32_t memory = aligned(dynamic);
  const bool fills = threadIdx.x >= groups * group_threads;
  Ring<stages> ring(shared_address(barriers), fills);

  const int down = p.by_tiles_n.divide(blockIdx.x), column = (blockIdx.x - down * p.tiles_n) * width;
  const int tap_x = p.by_tap_tiles.divide(down), first_row = (down - tap_x * p.tap_tiles) * M;
  const int from = blockIdx.y * p.split_steps, to = min(from + p.split_steps, p.steps);
  const int tall = (depth + 2 * p.grid_w) * row_bytes; // bytes of a box of 64 channels

  if (threadIdx.x == 0) {
    ring.make(groups);
    barrier_publish();
  }
  __syncthreads();

  if (fills) {
    give_registers<24>();
    if (threadIdx.x > groups * group_threads) return;
    for (int i = from; i < to; i++) {
      const uint32_t ready = ring.take(2 * tall + width * row_bytes), a = memory + ring.offset<bytes>(), b = a + 2 * tall;
      const Product::Pixel k = p.pixel(i * depth);
      const int x = k.x + p.origin_x + tap_x, y = k.y + p.origin_y;
      copy_box(a, map_a, ready, first_row, x, y, k.image);
      copy_box(a + tall, map_a, ready, first_row + 64, x, y, k.image);
      copy_box(b, map_b, ready, column, i * depth, 0);
      copy_box(b + panel, map_b, ready, column + 64, i * depth, 0);
      ring.next();
    }
    return;
  }

  take_registers<160>();
  Group<TN, tiles> mine;
  const int group = group_of_warp();
  const bool tells = threadIdx.x % 32 == 0; // that the warp has read a stage
  const uint64_t first_a = descriptor<panel>(memory + group * p.grid_w * row_bytes), first_b = descriptor<panel>(memory + 2 * tall);
  Columns columns(p, down, groups, group);
  int i = from;
#pragma unroll 1
  do {
    ring.wait();
    const uint64_t slot = ring.offset<bytes / 16>(), a = first_a + slot;
    mine.step({a, a + tall / 16}, first_b + slot);
    columns.step(memory + ring.offset<bytes>() + 2 * tall);
    multiply_wait<1>();
    if (i > from && tells) ring.release();
    ring.next();
  } while (++i < to);
  multiply_wait<0>();
  group_sync<groups * group_threads>(1);
  const int tap = (group * p.taps_x + tap_x) * p.depth;
  columns.leave(p, generic(memory) + group * mine.strip_floats, 2 + group, blockIdx.y * p.group + down * groups + group, column);
  mine.write(p, generic(memory) + group * mine.strip_floats, 2 + group, tap + first_row, tap + p.depth, column, blockIdx.y * p.out_split);
}

#define PAIR __cluster_dims__(2, 1, 1)
#define KERNEL(name, threads, blocks, make, ...)                                                                                                      \
  extern "C" __global__ void __VA_ARGS__ __launch_bounds__(threads, blocks)                                                                           \
      gemm_##name##_bf16(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const __grid_constant__ Product p) { make(a, b, p); }

// Two blocks of 9 warps have 112 registers a thread, one of 12 has 168 at first and one of 16 has 128.
#define PRODUCTS(name, kind)                                                    \
  KERNEL(name##_128x128_wgmma, 288, 2, (multiply_tile<kind, 128, 3, 0, 0>))      \
  KERNEL(name##_256x128_wgmma, 384, 1, (multiply_tile<kind, 256, 4, 40, 232>))   \
  KERNEL(name##_128x128_wgmma_pair, 288, 2, (multiply_tile<kind, 128, 3, 0, 0, true>), PAIR)     \
  KERNEL(name##_256x128_wgmma_pair, 384, 1, (multiply_tile<kind, 256, 4, 40, 232, true>), PAIR)

PRODUCTS(nn, NN)
PRODUCTS(nt, NT)
PRODUCTS(tn, TN)
KERNEL(nn_128x128_wgmma_tall, 288, 2, (multiply_tall<NN, 128, 3, 0, 0>))
KERNEL(nn_256x128_wgmma_tall, 384, 1, (multiply_tall<NN, 256, 8, 40, 232>))
KERNEL(nt_256x128_wgmma_tall, 384, 1, (multiply_tall<NT, 256, 8, 40, 232>))
KERNEL(tn_128x128_wgmma_tall, 512, 1, multiply_tall_gradient)
