// Small calls of a kernel side by side in one launch, each with a grid and an argument of its
// own. cuda.Jobs fills this in; drivers before CUDA 12.1 take 4096 bytes of arguments.
#pragma once

#include "fluxion.cuh"

template <typename Job, int Most>
struct Jobs {
  static constexpr int room = (Most + 1) / 2 * 2; // whole pairs, so that jobs are aligned
  uint32_t count, unused;
  uint32_t first[room];  // block of each job
  uint32_t across[room]; // its grid's x
  uint32_t down[room];   // its grid's y
  Job job[Most];
  static_assert(8 + 12 * room + Most * sizeof(Job) <= 4096);

  // mine is the job of this block, and which block it is of its grid.
  __device__ int mine(uint3 &block) const {
    int j = 0;
#pragma unroll 1
    while (j + 1 < count && first[j + 1] <= blockIdx.x) j++;
    const uint32_t at = blockIdx.x - first[j], row = at / across[j];
    block.x = at - row * across[j];
    block.z = row / down[j];
    block.y = row - block.z * down[j];
    return j;
  }
};
