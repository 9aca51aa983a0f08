// Group normalisation and its gradients; cuda.go binds them. Formulas: groupnorm.go, reference.go.
#include "silu.cuh"
#include "tiles.cuh"
#include "jobs.cuh"

// Tile is the columns of a block: whole groups or, where groups are wide, one of
// several parts of a group.
struct Tile {
  int32_t channels;
  int32_t per;     // channels of a group
  int32_t columns; // of a tile, at most
  int32_t parts;   // tiles of a group, 1 where a tile has whole groups

  __device__ int group() const { return from() / per; } // the first
  __device__ int from() const {
    return parts == 1 ? blockIdx.y * columns : blockIdx.y / parts * per + blockIdx.y % parts * columns;
  }
  __device__ int end() const {
    return min(from() + columns, parts == 1 ? channels : int(blockIdx.y / parts + 1) * per);
  }
};

constexpr int rows_held = 8; // rows of a thread in partials; cuda.go's rowsHeld

__device__ inline float2 statistics(float mean, float variance, float epsilon) { return make_float2(mean, 1 / sqrtf(variance + epsilon)); }

// Moments of the values of a group, as they are joined (Chan, Golub and LeVeque 1979, eq. 1.5).
struct Moments {
  float count, mean, squares;

  __device__ void join(float n, float m, float s) {
    const float d = m - mean, share = n / (count + n);
    if (n == 0) return;
    mean += d * share;
    squares += s + d * d * (count * share);
    count += n;
  }
  __device__ float2 statistics(float epsilon) const { return ::statistics(mean, squares / count, epsilon); }
};

// measure leaves mean and squares of every group of the tile in some rows of an image, behind
// what it needs of shared memory itself. A thread holds its values in registers, so that they are
// two exact passes; then each warp joins the columns and rows of a group.
template <typename T, int N>
__device__ inline const float *measure(View<const T> x, const Tile &tile, int first, int rows, int stride) {
  extern __shared__ __align__(16) float shared[]; // means, squares: [blockDim.y][stride]; then those of groups
  const int j = threadIdx.x * N, c = tile.from() + j;
  float *means = shared, *squares = means + blockDim.y * stride, *joined = squares + blockDim.y * stride;
  // count of the rows of thread row y
  const int least = rows / int(blockDim.y), more = rows - least * int(blockDim.y);
  const auto count = [&](int y) { return least + (y < more); };

  if (c < tile.end()) {
    Packed<T, N> held[rows_held] = {};
    const int n = count(threadIdx.y);
#pragma unroll
    for (int k = 0; k < rows_held; k++) {
      if (k < n) held[k].read(x.at(first + threadIdx.y + k * blockDim.y, c));
    }
    float mean[N] = {}, square[N] = {};
#pragma unroll
    for (int k = 0; k < rows_held; k++) {
      float v[N];
      held[k].unpack(v);
#pragma unroll
      for (int i = 0; i < N; i++) mean[i] += v[i]; // 0 where nothing was read
    }
    const float inverse = 1.0f / max(1, n);
#pragma unroll
    for (int i = 0; i < N; i++) mean[i] *= inverse;
#pragma unroll
    for (int k = 0; k < rows_held; k++) {
      float v[N];
      held[k].unpack(v);
#pragma unroll
      for (int i = 0; i < N; i++) {
        const float d = k < n ? v[i] - mean[i] : 0;
        square[i] += d * d;
      }
    }
    store(means + threadIdx.y * stride + j, mean);
    store(squares + threadIdx.y * stride + j, square);
  }
  __syncthreads();

  const int warp = thread() / 32, warps = threads() / 32, lane = thread() % 32; // warps that are whole
  const int columns = tile.end() - tile.from(), per = min(tile.per, columns), groups = columns / per, values = blockDim.y * per;
  const int first_y = lane / per, first_c = lane - first_y * per, step_y = 32 / per, step_c = 32 - step_y * per;
  const float total = rows * per;
#pragma unroll 1
  for (int g = warp; g < groups && warp < warps; g += warps) {
    float mean = 0, sum = 0;
#pragma unroll 1
    for (int i = lane, y = first_y, c = first_c; i < values; i += 32) {
      mean += count(y) * means[y * stride + g * per + c];
      y += step_y, c += step_c;
      if (c >= per) c -= per, y++;
    }
    mean = warp_sum(mean) / total;
#pragma unroll 1
    for (int i = lane, y = first_y, c = first_c; i < values; i += 32) {
      const int at = y * stride + g * per + c;
      const float d = means[at] - mean;
      sum += squares[at] + count(y) * d * d;
      y += step_y, c += step_c;
      if (c >= per) c -= per, y++;
    }
    sum = warp_sum(sum);
    if (lane == 0) joined[2 * g] = mean, joined[2 * g + 1] = sum;
  }
  __syncthreads();
  return joined;
}

// partials writes the cuda.Partials of a chunk of rows of an image. Where a chunk is a whole image,
// its statistics are written instead.
template <typename T, int N>
__device__ inline void partials(View<const T> x, float *out, Tile tile, int pixels, int length, int chunks, int stride, float2 *stats, float epsilon) {
  const int image = blockIdx.x / chunks, chunk = blockIdx.x % chunks;
  const int rows = min(length, pixels - chunk * length), first = image * pixels + chunk * length;
  const float *joined = measure<T, N>(x, tile, first, rows, stride);
  const int columns = tile.end() - tile.from(), per = min(tile.per, columns), groups = columns / per;
  const float total = rows * per;
  const int all = tile.channels / tile.per, part = (image * chunks + chunk) * tile.parts + blockIdx.y % tile.parts;
  for (int g = thread(); g < groups; g += threads()) {
    const float mean = joined[2 * g], sum = joined[2 * g + 1];
    if (stats) {
      stats[image * all + tile.group() + g] = statistics(mean, sum / total, epsilon);
    } else {
      float *to = out + part * 3 * all + tile.group() + g;
      to[0] = total, to[all] = mean, to[2 * all] = sum;
    }
  }
}

#define PARTIALS(T) (View<const T> x, float *out, Tile tile, int pixels, int length, int chunks, int stride, float2 *stats, float epsilon)
VARIANTS(groupnorm_partials, partials, PARTIALS, (x, out, tile, pixels, length, chunks, stride, stats, epsilon))

// join is the statistics of a group of an image, whose partials begin there: the first chunk to the last.
__device__ inline float2 join(const float *partials, int groups, int chunks, float epsilon) {
  Moments all = {};
#pragma unroll 4
  for (int chunk = 0; chunk < chunks; chunk++) {
    const float *p = partials + chunk * 3 * groups;
    all.join(p[0], p[groups], p[2 * groups]);
  }
  return all.statistics(epsilon);
}

extern "C" __global__ void __launch_bounds__(128) groupnorm_stats(float2 *stats, const float *partials, int images, int groups, int chunks, float epsilon) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, image = i / groups, group = i % groups;
  if (image < images) stats[i] = join(partials + image * chunks * 3 * groups + group, groups, chunks, epsilon);
}

// Norm is the small inputs of a normalisation.
struct Norm {
  const float2 *stats;
  const float *gamma, *beta;
  const float *scale_shift; // 0 if there is none

  __device__ float2 moments(const Tile &t, int image, int c) const { return stats[image * (t.channels / t.per) + c / t.per]; }
  __device__ float scale(const Tile &t, int image, int c) const { return scale_shift ? 1 + scale_shift[image * 2 * t.channels + c] : 1; }
  __device__ float shift(const Tile &t, int image, int c) const { return scale_shift ? scale_shift[(image * 2 + 1) * t.channels + c] : 0; }
};

// lines writes, for each image and column of the block, mean, a and b of
// u = a (x - mean) + b, the value before the activation. An image has stride
// floats: vectors of width.
__device__ inline void lines(float *shared, const Norm &norm, const Tile &tile, const Images &s, int width, int stride) {
  const int from = tile.from();
#pragma unroll 1
  for (int j = thread(); from + j < tile.end(); j += threads()) {
    const int c = from + j;
    const float gamma = norm.gamma[c], beta = norm.beta[c];
#pragma unroll 1
    for (int i = 0; i < s.count(); i++) {
      const int image = s.first() + i;
      const float2 m = norm.moments(tile, image, c);
      const float scale = norm.scale(tile, image, c);
      float *line = shared + i * stride + j;
      line[0] = m.x;
      line[width] = m.y * gamma * scale;
      line[2 * width] = beta * scale + norm.shift(tile, image, c);
    }
  }
}

template <typename T, int N>
struct Pair {
  Packed<T, N> x, dy;
};

template <typename T, int N>
__device__ inline void apply(View<T> y, View<const T> x, Norm norm, Tile tile, Images s, int activate) {
  extern __shared__ __align__(16) float shared[]; // [images][3][width]
  const int width = blockDim.x * N, j = threadIdx.x * N, c = tile.from() + j;
  lines(shared, norm, tile, s, width, 3 * width);
  __syncthreads();
  if (c >= tile.end()) return;
#pragma unroll 1
  for (int i = 0; i < s.count(); i++) {
    float mean[N], a[N], b[N];
    const float *line = shared + i * 3 * width + j;
    load(mean, line), load(a, line + width), load(b, line + 2 * width);
    down<4, Packed<T, N>>(s.row(i) + threadIdx.y, s.end(i), blockDim.y, [&](Packed<T, N> &read, int r) { read.read(x.at(r, c)); },
        [&](const Packed<T, N> &read, int r) {
          float v[N];
          read.unpack(v);
#pragma unroll
          for (int k = 0; k < N; k++) {
            const float u = a[k] * (v[k] - mean[k]) + b[k];
            v[k] = activate ? silu(u) : u;
          }
          store(y.at(r, c), v);
        });
  }
}

#define APPLY(T) (View<T> y, View<const T> x, Norm norm, Tile tile, Images images, int activate)
VARIANTS(groupnorm_apply, apply, APPLY, (y, x, norm, tile, images, activate))

// normalise makes the statistics of the tile's groups in an image, from partials if somebody left
// them, and then the normalisation, which finds the image in the cache. The bits are those of the
// two kernels one after the other.
template <typename T, int N>
__device__ inline void normalise(View<T> y, View<const T> x, Norm norm, Tile tile, Images s, float2 *stats, const float *partials, int length, int chunks, int stride, float epsilon, int activate) {
  const int groups = (tile.end() - tile.from()) / tile.per, all = tile.channels / tile.per, g = thread();
  float2 *to = stats + s.first() * all + tile.group();
  if (partials) {
    if (g < groups) to[g] = join(partials + s.first() * chunks * 3 * all + tile.group() + g, all, chunks, epsilon);
  } else {
    Moments mine = {};
#pragma unroll 1
    for (int from = 0; from < s.pixels; from += length) {
      const int rows = min(length, s.pixels - from);
      const float *joined = measure<T, N>(x, tile, s.row(0) + from, rows, stride);
      if (g < groups) mine.join(float(rows * tile.per), joined[2 * g], joined[2 * g + 1]);
    }
    if (g < groups) to[g] = mine.statistics(epsilon);
  }
  __syncthreads();
  apply<T, N>(y, x, norm, tile, s, activate);
}

#define NORMALISE(T) \
  (View<T> y, View<const T> x, Norm norm, Tile tile, Images images, float2 *stats, const float *partials, int length, int chunks, int stride, float epsilon, int activate)
VARIANTS(groupnorm_normalise, normalise, NORMALISE, (y, x, norm, tile, images, stats, partials, length, chunks, stride, epsilon, activate), 3)

// sums writes, for each part of each image, the sums of du and of du x over its rows.
template <typename T, int N>
__device__ inline void sums(View<const T> x, View<const T> dy, Norm norm, Tile tile, Images s, float *out, int activate) {
  extern __shared__ __align__(16) float shared[]; // [images][3][width], then sums: [blockDim.y][2][width]
  const int width = blockDim.x * N, j = threadIdx.x * N, c = tile.from() + j, columns = tile.end() - tile.from();
  float *rows = shared + s.group * 3 * width;
  lines(shared, norm, tile, s, width, 3 * width);
#pragma unroll 1
  for (int i = 0; i < s.count(); i++) {
    __syncthreads(); // lines are there; sums of the image before are read
    if (j < columns) {
      float mean[N], a[N], b[N], du[N] = {}, dux[N] = {};
      const float *line = shared + i * 3 * width + j;
      load(mean, line), load(a, line + width), load(b, line + 2 * width);
      down<2, Pair<T, N>>(s.row(i) + threadIdx.y, s.end(i), blockDim.y,
          [&](Pair<T, N> &read, int r) {
            read.x.read(x.at(r, c));
            read.dy.read(dy.at(r, c));
          },
          [&](const Pair<T, N> &read, int) {
            float v[N], d[N];
            read.x.unpack(v), read.dy.unpack(d);
#pragma unroll
            for (int k = 0; k < N; k++) {
              if (activate) d[k] *= silu_slope(a[k] * (v[k] - mean[k]) + b[k]);
              du[k] += d[k];
              dux[k] += d[k] * v[k];
            }
          });
      store(rows + threadIdx.y * 2 * width + j, du);
      store(rows + threadIdx.y * 2 * width + width + j, dux);
    }
    __syncthreads();
    float *to = out + ((s.first() + i) * s.parts + s.part()) * 2 * tile.channels + tile.from();
#pragma unroll 1
    for (int k = thread(); k < 2 * width; k += threads()) {
      const int which = k >= width, column = k - which * width;
      if (column >= columns) continue;
      float total = 0;
#pragma unroll 1
      for (int y = 0; y < blockDim.y; y++) total += rows[y * 2 * width + k];
      to[which * tile.channels + column] = total;
    }
  }
}

#define SUMS(T) (View<const T> x, View<const T> dy, Norm norm, Tile tile, Images images, float *out, int activate)
VARIANTS(groupnorm_sums, sums, SUMS, (x, dy, norm, tile, images, out, activate), 4)

// lanes_for returns the lanes of a warp that share a group of per channels: a power of two.
__device__ inline int lanes_for(int per) {
  int lanes = 1;
  while (lanes < 32 && lanes < per) lanes *= 2;
  return lanes;
}

// corrections takes the mean of the gradient and its mean along x out of dx:
// dx = a du + q (x - mean) + r, where over the values of a group
//
//   r = -sum(a du) / count,   q = -rstd^2 sum(a du (x - mean)) / count.
//
// It writes q and r of every column of the block behind its line.
__device__ inline void corrections(float *shared, const Norm &norm, const Tile &tile, const Images &s, const float *sums, int width, int stride) {
  const int lanes = lanes_for(tile.per), warps = threads() / 32, warp = thread() / 32, lane = thread() % 32;
  const int from = tile.from(), end = tile.end(), groups = 32 / lanes; // of a warp
  if (warp >= warps) return;
  const float count = float(s.pixels) * tile.per;
#pragma unroll 1
  for (int i = 0; i < s.count(); i++) {
    float *line = shared + i * stride - from;
    const float *row = sums + (s.first() + i) * 2 * tile.channels;
#pragma unroll 1
    for (int first = tile.group() + warp * groups; first * tile.per < end; first += warps * groups) {
      const int begin = (first + lane / lanes) * tile.per;
      float q = 0, r = 0;
      float2 m = {};
      if (begin < end) {
        m = norm.moments(tile, s.first() + i, begin);
#pragma unroll 1
        for (int c = begin + lane % lanes; c < begin + tile.per; c += lanes) {
          const bool here = from <= c && c < end; // else it is another block's
          const float a = here ? line[width + c] : m.y * norm.gamma[c] * norm.scale(tile, s.first() + i, c);
          r += a * row[c];
          q += a * (row[tile.channels + c] - m.x * row[c]);
        }
      }
#pragma unroll 1
      for (int l = lanes / 2; l > 0; l /= 2) {
        q += __shfl_xor_sync(0xffffffffu, q, l);
        r += __shfl_xor_sync(0xffffffffu, r, l);
      }
      if (begin < end) {
#pragma unroll 1
        for (int c = begin + lane % lanes; c < begin + tile.per; c += lanes) {
          if (c < from || c >= end) continue;
          line[3 * width + c] = -m.y * m.y * q / count;
          line[4 * width + c] = -r / count;
        }
      }
    }
  }
}

template <typename T, int N>
struct Triple {
  Packed<T, N> x, dy, add;
};

template <typename T, int N>
__device__ inline void input_grad(View<T> dx, View<const T> x, View<const T> dy, View<const T> add, Norm norm, Tile tile, Images s, const float *sums, int activate, float *tally) {
  extern __shared__ __align__(16) float shared[]; // [images][5][width]
  const int width = blockDim.x * N, j = threadIdx.x * N, c = tile.from() + j;
  lines(shared, norm, tile, s, width, 5 * width);
  __syncthreads();
  corrections(shared, norm, tile, s, sums, width, 5 * width);
  __syncthreads();
  float tallied[N] = {}; // of the rows of this thread; there is one image then
#pragma unroll 1
  for (int i = 0; i < s.count() && c < tile.end(); i++) {
    float mean[N], a[N], b[N], q[N], r[N];
    const float *line = shared + i * 5 * width + j;
    load(mean, line), load(a, line + width), load(b, line + 2 * width), load(q, line + 3 * width), load(r, line + 4 * width);
    down<2, Triple<T, N>>(s.row(i) + threadIdx.y, s.end(i), blockDim.y,
        [&](Triple<T, N> &read, int row) {
          read.x.read(x.at(row, c));
          read.dy.read(dy.at(row, c));
          if (add.data) read.add.read(add.at(row, c));
        },
        [&](const Triple<T, N> &read, int row) {
          float v[N], d[N], plus[N] = {};
          read.x.unpack(v), read.dy.unpack(d);
          if (add.data) read.add.unpack(plus);
#pragma unroll
          for (int k = 0; k < N; k++) {
            const float centred = v[k] - mean[k];
            if (activate) d[k] *= silu_slope(a[k] * centred + b[k]);
            d[k] = a[k] * d[k] + q[k] * centred + r[k] + plus[k];
            if (tally) tallied[k] += widen(narrow<T>(d[k]));
          }
          store(dx.at(row, c), d);
        });
  }
  if (!tally) return;
  __syncthreads(); // lines are read
  store(shared + threadIdx.y * width + j, tallied);
  __syncthreads();
#pragma unroll 1
  for (int k = thread(); k < tile.end() - tile.from(); k += threads()) {
    float total = 0;
#pragma unroll 1
    for (int y = 0; y < blockDim.y; y++) total += shared[y * width + k];
    tally[s.first() * tile.channels + tile.from() + k] = total;
  }
}

#define INPUT_GRAD(T) \
  (View<T> dx, View<const T> x, View<const T> dy, View<const T> add, Norm norm, Tile tile, Images images, const float *sums, int activate)
VARIANTS(groupnorm_input_grad, input_grad, INPUT_GRAD, (dx, x, dy, add, norm, tile, images, sums, activate, nullptr), 4)

// whole_grad is sums and input_grad of the tile's columns of an image, which the second finds in the cache. It
// leaves the sums of dx, as it is rounded, over the pixels, if somebody asks for them.
template <typename T, int N>
__device__ inline void whole_grad(View<T> dx, View<const T> x, View<const T> dy, View<const T> add, Norm norm, Tile tile, Images s, float *totals, int activate, float *tally) {
  sums<T, N>(x, dy, norm, tile, s, totals, activate);
  __syncthreads();
  input_grad<T, N>(dx, x, dy, add, norm, tile, s, totals, activate, tally);
}

#define WHOLE_GRAD(T) (View<T> dx, View<const T> x, View<const T> dy, View<const T> add, Norm norm, Tile tile, Images images, float *totals, int activate, float *tally)
VARIANTS(groupnorm_whole_grad, whole_grad, WHOLE_GRAD, (dx, x, dy, add, norm, tile, images, totals, activate, tally), 3)

// normalised is the sums of du and of du times the normalised x, of one channel of one image.
__device__ inline float2 normalised(const float *sums, const Norm &norm, const Tile &tile, int image, int c) {
  const float2 m = norm.moments(tile, image, c);
  const float du = sums[image * 2 * tile.channels + c], dux = sums[(image * 2 + 1) * tile.channels + c];
  return make_float2(du, m.y * (dux - m.x * du));
}

// VectorGrad is a gradient of gamma or of beta.
struct VectorGrad {
  float *out;
  const float *sums;
  Norm norm;
  Tile tile;
  int32_t images, gamma;
};

// groupnorm_vector_grads sums over the images: their normalised sums, scaled. A block
// has 32 channels and several images at a time.
constexpr int image_rows = 16;  // cuda.go's imageRows
constexpr int vector_jobs = 32; // cuda.go's vectorJobs

extern "C" __global__ void __launch_bounds__(32 * image_rows) groupnorm_vector_grads(const __grid_constant__ Jobs<VectorGrad, vector_jobs> jobs) {
  __shared__ float rows[image_rows][32];
  uint3 block;
  const VectorGrad &v = jobs.job[jobs.mine(block)];
  const int c = block.x * 32 + threadIdx.x;
  float total = 0;
  if (c < v.tile.channels) {
#pragma unroll 4
    for (int n = threadIdx.y; n < v.images; n += image_rows) {
      const float2 s = normalised(v.sums, v.norm, v.tile, n, c);
      total += (v.gamma ? s.y : s.x) * v.norm.scale(v.tile, n, c);
    }
  }
  rows[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y > 0 || c >= v.tile.channels) return;
  for (int y = 1; y < image_rows; y++) total += rows[y][threadIdx.x];
  v.out[c] = total;
}

extern "C" __global__ void __launch_bounds__(128) groupnorm_scaleshift_grad(float *out, const float *sums, Norm norm, Tile tile) {
  const int image = blockIdx.x, c = blockIdx.y * blockDim.x + threadIdx.x;
  if (c >= tile.channels) return;
  const float2 s = normalised(sums, norm, tile, image, c);
  out[image * 2 * tile.channels + c] = s.y * norm.gamma[c] + s.x * norm.beta[c];
  out[(image * 2 + 1) * tile.channels + c] = s.x;
}
