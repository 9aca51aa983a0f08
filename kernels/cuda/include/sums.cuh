// Sums in float64, for the few numbers that stand for very many.
#pragma once

#include "fluxion.cuh"

// block_sum adds over a block of Threads threads, in a fixed order; all of them
// get the same bits. shared is not used again before a barrier.
template <int Threads>
__device__ inline double block_sum(double x, double (&shared)[Threads / 32]) {
#pragma unroll
  for (int lane = 16; lane > 0; lane >>= 1) x += __shfl_xor_sync(0xffffffffu, x, lane);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  x = shared[0];
#pragma unroll
  for (int i = 1; i < Threads / 32; i++) x += shared[i];
  return x;
}
