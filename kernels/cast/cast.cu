// Conversion between element types: to the nearest bf16, ties to even, or back.
#include "fluxion.cuh"

constexpr int threads = 256;

// N elements of a row a thread; columns are whole groups of N.
template <int N, typename To, typename From>
__device__ void cast(To *to, const From *from, uint64_t to_pitch, uint64_t from_pitch, uint64_t groups, uint32_t per_row) {
  const uint64_t i = uint64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= groups) return;
  uint64_t row = 0, column = i;
  if (per_row) { // 0: there is one row only
    row = i / per_row;
    column = i % per_row;
  }
  float v[N];
  load(v, from + row * from_pitch + column * N);
  store(to + row * to_pitch + column * N, v);
}

#define CAST(NAME, N, TO, FROM)                                                                                                                                         \
  extern "C" __global__ void __launch_bounds__(threads) NAME(TO *to, const FROM *from, uint64_t to_pitch, uint64_t from_pitch, uint64_t groups, uint32_t per_row) { \
    cast<N>(to, from, to_pitch, from_pitch, groups, per_row);                                                                                                           \
  }

CAST(cast_bf16_f32, 1, bf16, float)
CAST(cast_bf16_f32_vector, 4, bf16, float)
CAST(cast_f32_bf16, 1, float, bf16)
CAST(cast_f32_bf16_vector, 4, float, bf16)
