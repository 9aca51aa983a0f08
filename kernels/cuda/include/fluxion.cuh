// What CUDA kernels of all operators share: element types, vectors of 16 bytes,
// the parameters of a step, sums in a fixed order.
#pragma once

using int32_t = int;
using int64_t = long long;
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;

// bf16 is the upper half of a float. (cuda_bf16.h would put two dozen variables
// into every PTX file, and needs C++ classes where one word does.)
struct bf16 {
  uint16_t bits;
};

// Elements of T in a vector of 16 bytes.
template <typename T>
constexpr int vector = 16 / sizeof(T);

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(bf16 x) { return __uint_as_float(uint32_t(x.bits) << 16); }

// narrow rounds to the nearest, ties to even.
template <typename T>
__device__ inline T narrow(float x);
template <>
__device__ inline float narrow<float>(float x) { return x; }
template <>
__device__ inline bf16 narrow<bf16>(float x) {
  bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

// load reads N elements as floats. Several elements are read together, in pieces
// of up to 16 bytes, to whose size p is a multiple.
template <int N>
__device__ inline void load(float (&v)[N], const float *p) {
  if constexpr (N % 4 == 0) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      const float4 q = *reinterpret_cast<const float4 *>(p + i);
      v[i] = q.x, v[i + 1] = q.y, v[i + 2] = q.z, v[i + 3] = q.w;
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = p[i];
  }
}

// The halves of a word are two bf16, the first of them below.
__device__ inline void widen2(float &low, float &high, uint32_t w) {
  low = __uint_as_float(w << 16);
  high = __uint_as_float(w & 0xffff0000u);
}

__device__ inline uint32_t narrow2(float low, float high) {
  uint32_t w;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(high), "f"(low));
  return w;
}

template <int N>
__device__ inline void load(float (&v)[N], const bf16 *p) {
  if constexpr (N % 8 == 0) {
#pragma unroll
    for (int i = 0; i < N; i += 8) {
      const uint4 q = *reinterpret_cast<const uint4 *>(p + i);
      widen2(v[i], v[i + 1], q.x), widen2(v[i + 2], v[i + 3], q.y);
      widen2(v[i + 4], v[i + 5], q.z), widen2(v[i + 6], v[i + 7], q.w);
    }
  } else if constexpr (N == 4) {
    const uint2 q = *reinterpret_cast<const uint2 *>(p);
    widen2(v[0], v[1], q.x), widen2(v[2], v[3], q.y);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = widen(p[i]);
  }
}

// store is the reverse of load.
template <int N>
__device__ inline void store(float *p, const float (&v)[N]) {
  if constexpr (N % 4 == 0) {
#pragma unroll
    for (int i = 0; i < N; i += 4) *reinterpret_cast<float4 *>(p + i) = make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) p[i] = v[i];
  }
}

template <int N>
__device__ inline void store(bf16 *p, const float (&v)[N]) {
  if constexpr (N % 8 == 0) {
#pragma unroll
    for (int i = 0; i < N; i += 8) {
      *reinterpret_cast<uint4 *>(p + i) = make_uint4(narrow2(v[i], v[i + 1]), narrow2(v[i + 2], v[i + 3]), narrow2(v[i + 4], v[i + 5]), narrow2(v[i + 6], v[i + 7]));
    }
  } else if constexpr (N == 4) {
    *reinterpret_cast<uint2 *>(p) = make_uint2(narrow2(v[0], v[1]), narrow2(v[2], v[3]));
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) p[i] = narrow<bf16>(v[i]);
  }
}

// Parameters are cuda.Parameters of the Go side: a row for each step.
struct Parameters {
  const uint8_t *table;
  const uint32_t *counter;
  uint64_t stride; // bytes, a multiple of 16

  // row of the step that the device's counter points at.
  template <typename Row>
  __device__ const Row *row() const { return reinterpret_cast<const Row *>(table + stride * *counter); }
};

// warp_sum adds over the 32 lanes; all of them get the same bits.
__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int lane = 16; lane > 0; lane >>= 1) x += __shfl_xor_sync(0xffffffffu, x, lane);
  return x;
}

__device__ inline float warp_max(float x) {
#pragma unroll
  for (int lane = 16; lane > 0; lane >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, lane));
  return x;
}

// block_sum adds over a block of Threads threads, in a fixed order; all of them
// get the same bits. It uses Threads/32 floats of shared memory, which are free
// again when it returns.
template <int Threads>
__device__ inline float block_sum(float x, float *shared) {
  constexpr int warps = Threads / 32;
  static_assert(Threads % 32 == 0, "whole warps");
  x = warp_sum(x);
  if constexpr (warps > 1) {
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
    __syncthreads();
    x = shared[0];
#pragma unroll
    for (int i = 1; i < warps; i++) x += shared[i];
    __syncthreads();
  }
  return x;
}
