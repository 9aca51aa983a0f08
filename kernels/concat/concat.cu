// Copies of parts of a tensor, side by side in one launch: those of a concatenation, or of many small ones.
#include "jobs.cuh"

constexpr int threads = 256, each = 4; // words of a thread

// Part is cuda.go's arguments. Pitches are in words.
struct Part {
  void *to;
  const void *from;
  int64_t to_pitch, from_pitch;
  int32_t rows, words;
};

using Parts = Jobs<Part, 64>;

template <typename Word>
__device__ inline void copy(const Parts &parts) {
  uint3 block;
  const Part &p = parts.job[parts.mine(block)];
  const int64_t count = int64_t(p.rows) * p.words;
#pragma unroll
  for (int n = 0; n < each; n++) {
    const int64_t i = (int64_t(block.x) * each + n) * threads + threadIdx.x;
    if (i >= count) return;
    const int64_t row = i / p.words, word = i - row * p.words;
    static_cast<Word *>(p.to)[row * p.to_pitch + word] = static_cast<const Word *>(p.from)[row * p.from_pitch + word];
  }
}

extern "C" __global__ void __launch_bounds__(threads) concat_parts_2(const __grid_constant__ Parts parts) { copy<uint16_t>(parts); }
extern "C" __global__ void __launch_bounds__(threads) concat_parts_4(const __grid_constant__ Parts parts) { copy<uint32_t>(parts); }
extern "C" __global__ void __launch_bounds__(threads) concat_parts_16(const __grid_constant__ Parts parts) { copy<uint4>(parts); }
