// Attention without scores in memory (Dao 2023, FlashAttention-2): softmax(scale·q·kᵀ)·v and its gradient. Tiles of
// scores live in registers. A sum has one order: all of it is made in the block that owns its row.
#include "tiles.cuh"

__device__ inline float exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// join_rows joins a number of each row over all threads of the row. Parts is four floats a row of shared memory.
template <typename Tiles, typename Join>
__device__ inline void join_rows(float (&x)[Tiles::rows], float *parts, Join join) {
#pragma unroll
  for (int i = 0; i < Tiles::rows; i++) {
#pragma unroll
    for (int lane = Tiles::lanes / 2; lane > 0; lane >>= 1) x[i] = join(x[i], __shfl_xor_sync(0xffffffffu, x[i], lane));
  }
  if constexpr (Tiles::lanes == 4) { // four warps have the row
#pragma unroll
    for (int i = 0; i < Tiles::rows; i++) {
      if (threadIdx.x % 4 == 0) parts[Tiles::row(i) * 4 + threadIdx.x / 32 % 4] = x[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < Tiles::rows; i++) {
      const float *at = parts + Tiles::row(i) * 4;
      x[i] = join(join(at[0], at[1]), join(at[2], at[3]));
    }
  }
}

// forward makes rows of the result, with the largest score of each row so far and the sum of exponentials under it.
template <typename T, int Own>
__device__ inline void forward(const Attention a) {
  using Tiles = Tile<T, Own>;
  const Tiles tiles{};
  const Place at(a, Own);
  float *parts = &shared<float>(square_at + square_bytes<T, Own>);
  const Steps<T> steps(a, 1, a.wanted);

  typename Tiles::Square s;
  typename Tiles::Sum out;
  float top[Tiles::rows], sum[Tiles::rows] = {};
#pragma unroll
  for (float &x : top) x = __int_as_float(0xff800000); // −∞
  const auto softmax = [&](int first) {
    float high[Tiles::rows];
#pragma unroll
    for (int i = 0; i < Tiles::rows; i++) {
      high[i] = top[i];
#pragma unroll
      for (int j = 0; j < s.columns; j++) {
        s.at(i, j) = first + Tiles::column(j) < a.pixels ? a.scale2 * s.at(i, j) : __int_as_float(0xff800000);
        high[i] = fmaxf(high[i], s.at(i, j));
      }
    }
    join_rows<Tiles>(high, parts, [](float x, float y) { return fmaxf(x, y); });
#pragma unroll
    for (int i = 0; i < Tiles::rows; i++) {
      const float share = exp2(top[i] - high[i]);
      top[i] = high[i];
      sum[i] *= share;
#pragma unroll
      for (int j = 0; j < s.columns; j++) sum[i] += s.at(i, j) = exp2(s.at(i, j) - top[i]);
#pragma unroll
      for (int j = 0; j < out.columns; j++) out.at(i, j) *= share;
    }
    if (a.wanted) Tiles::template leave<1>(square_at, s);
    s = {};
  };
  const Rows<T> q(a, at, a.qkv);
  stream<Own>(a, at, steps.all,
         [&](int first, int step) {
           if (step < steps.pairs) return pair_chunk(q, q.part(a, 1), first, step);
           return single_chunk(q.part(a, 2), at, first, step - steps.pairs);
         },
         [&](int first, int step, uint32_t chunk) {
           if (step < steps.pairs) tiles.pair(s, chunk);
           if (step == steps.pairs - 1) softmax(first);
           if (step >= steps.pairs) tiles.single(out, square_at, (step - steps.pairs) * single_rows<T>, chunk, at.exist);
         });

  join_rows<Tiles>(sum, parts + 4 * Own, [](float x, float y) { return x + y; });
#pragma unroll
  for (int i = 0; i < Tiles::rows; i++) {
    const int row = at.own + Tiles::row(i);
    if (a.sums && at.channel == 0 && Tiles::column(0) == 0 && row < a.pixels) at.numbers(a, a.sums)[row] = top[i] + log2f(sum[i]);
    const float norm = 1 / sum[i];
#pragma unroll
    for (int j = 0; j < out.columns; j++) out.at(i, j) *= norm;
  }
  if (a.wanted) write<T, Own>(a, at, 0, out);
}

// dot is Σ dy·y over the channels of a row, of which a thread takes every fourth vector.
template <typename T>
__device__ inline float dot(const Attention &a, const Place &at, int row) {
  const Rows<T> dy(a, at, a.dy), y(a, at, a.y);
  float sum = 0;
#pragma unroll 1
  for (int c = threadIdx.x % 4 * vector<T>; c < a.channels; c += 4 * vector<T>) {
    if (a.dy.vectors && a.y.vectors && c + vector<T> <= a.channels) {
      float u[vector<T>], v[vector<T>];
      load(u, dy.at(row, c)), load(v, y.at(row, c));
#pragma unroll
      for (int i = 0; i < vector<T>; i++) sum = fmaf(u[i], v[i], sum);
      continue;
    }
#pragma unroll 1
    for (int i = c; i < min(c + vector<T>, a.channels); i++) sum = fmaf(widen(*dy.at(row, i)), widen(*y.at(row, i)), sum);
  }
  sum += __shfl_xor_sync(0xffffffffu, sum, 1);
  return sum + __shfl_xor_sync(0xffffffffu, sum, 2);
}

// queries makes the gradient of queries: ds·k, ds = p∘(dy·vᵀ − Σ dy·y)·scale.
template <typename T, int Own>
__device__ inline void queries(const Attention a) {
  using Tiles = Tile<T, Own>;
  const Tiles tiles{};
  const Place at(a, Own);
  float *dots = &shared<float>(square_at + square_bytes<T, Own>), *sums = dots + Own;
  const int mine = threadIdx.x / 4, query = min(at.own + mine, a.pixels - 1);
  const float d = dot<T>(a, at, query);
  if (threadIdx.x % 4 == 0 && mine < Own) {
    dots[mine] = d, sums[mine] = at.numbers(a, a.sums)[query];
    if (at.channel == 0 && at.own + mine < a.pixels) at.numbers(a, a.dots)[at.own + mine] = d;
  }

  const Steps<T> steps(a, 2, 1);
  typename Tiles::Square s; // scores, then dy·vᵀ
  typename Tiles::Sum dq;
  const auto probabilities = [&](int first) {
#pragma unroll
    for (int i = 0; i < Tiles::rows; i++) {
      const float sum = sums[Tiles::row(i)];
#pragma unroll
      for (int j = 0; j < s.columns; j++) {
        const float p = exp2(a.scale2 * s.at(i, j) - sum);
        s.at(i, j) = first + Tiles::column(j) < a.pixels ? p : 0;
      }
    }
    Tiles::template leave<1>(square_at, s);
    s = {};
  };
  const auto gradient = [&] {
    typename Tiles::Square p;
    Tiles::take(p, square_at);
#pragma unroll
    for (int i = 0; i < Tiles::rows; i++) {
      const float dot = dots[Tiles::row(i)];
#pragma unroll
      for (int j = 0; j < s.columns; j++) s.at(i, j) = p.at(i, j) * (s.at(i, j) - dot) * a.scale;
    }
    Tiles::template leave<1>(square_at, s);
    s = {};
  };
  const Rows<T> q(a, at, a.qkv), dy(a, at, a.dy);
  stream<Own>(a, at, steps.all,
         [&](int first, int step) { // queries and keys, dy and values; keys
           const int pair = step >= steps.pairs, single = step - 2 * steps.pairs;
           if (single < 0) return pair_chunk(q.or_if(pair, dy), q.part(a, 1 + pair), first, step - pair * steps.pairs);
           return single_chunk(q.part(a, 1), at, first, single);
         },
         [&](int first, int step, uint32_t chunk) {
           const int single = step - 2 * steps.pairs;
           if (single < 0) tiles.pair(s, chunk);
           if (step == steps.pairs - 1) probabilities(first);
           if (single == -1) gradient();
           if (single >= 0) tiles.single(dq, square_at, single * single_rows<T>, chunk, at.exist);
         });
  write<T, Own>(a, at, 0, dq);
}

// keys makes the gradients of keys and values: dsᵀ·q and pᵀ·dy.
template <typename T, int Own>
__device__ inline void keys(const Attention a) {
  using Tiles = Tile<T, Own>;
  const Tiles tiles{};
  const Place at(a, Own);
  const Steps<T> steps(a, 2, 2);
  typename Tiles::Square s;
  typename Tiles::Sum dk, dv;
  const float *sums = at.numbers(a, a.sums), *dots = at.numbers(a, a.dots);
  const auto probabilities = [&](int first) {
#pragma unroll
    for (int j = 0; j < s.columns; j++) {
      const int query = first + Tiles::column(j);
      const float sum = query < a.pixels ? sums[query] : __int_as_float(0x7f800000); // ∞: none of a query that is not there
#pragma unroll
      for (int i = 0; i < Tiles::rows; i++) s.at(i, j) = exp2(a.scale2 * s.at(i, j) - sum);
    }
    Tiles::template leave<1>(square_at, s);
    s = {};
  };
  const auto gradient = [&](int first) {
    typename Tiles::Square p;
    Tiles::take(p, square_at);
#pragma unroll
    for (int j = 0; j < s.columns; j++) {
      const float dot = dots[min(first + Tiles::column(j), a.pixels - 1)];
#pragma unroll
      for (int i = 0; i < Tiles::rows; i++) s.at(i, j) = p.at(i, j) * (s.at(i, j) - dot) * a.scale;
    }
    Tiles::template leave<1>(square_at + square_bytes<T, Own>, s);
    s = {};
  };
  const Rows<T> q(a, at, a.qkv), dy(a, at, a.dy);
  stream<Own>(a, at, steps.all,
         [&](int first, int step) { // keys and queries, values and dy; dy; queries
           const int pair = step >= steps.pairs, single = step - 2 * steps.pairs, second = single >= single_steps<T>;
           if (single < 0) return pair_chunk(q.part(a, 1 + pair), q.or_if(pair, dy), first, step - pair * steps.pairs);
           return single_chunk(dy.or_if(second, q), at, first, single - second * single_steps<T>);
         },
         [&](int first, int step, uint32_t chunk) {
           const int single = step - 2 * steps.pairs, second = single - single_steps<T>;
           if (single < 0) tiles.pair(s, chunk);
           if (step == steps.pairs - 1) probabilities(first);
           if (single == -1) gradient(first);
           if (single < 0) return;
           if (second < 0) return tiles.single(dv, square_at, single * single_rows<T>, chunk, at.exist);
           tiles.single(dk, square_at + square_bytes<T, Own>, second * single_rows<T>, chunk, at.exist);
         });
  write<T, Own>(a, at, 1, dk);
  write<T, Own>(a, at, 2, dv);
}

#define KERNEL(function, T, own, name, blocks) \
  extern "C" __global__ void __launch_bounds__(threads<own>, blocks) attention_##function##_##name(const __grid_constant__ Attention a) { function<T, own>(a); }

// Blocks that are to fit on a multiprocessor bound the registers.
KERNEL(forward, float, 64, f32, 1)
KERNEL(queries, float, 64, f32, 1)
KERNEL(keys, float, 64, f32, 1)
KERNEL(forward, bf16, 64, bf16, 2)
KERNEL(queries, bf16, 64, bf16, 2)
KERNEL(keys, bf16, 64, bf16, 1)
KERNEL(forward, bf16, 16, 16_bf16, 2)
KERNEL(queries, bf16, 16, 16_bf16, 2)
KERNEL(keys, bf16, 16, 16_bf16, 2)
