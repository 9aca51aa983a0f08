// How kernels go over matrices; the other half is tiles.go. A block of blockDim.x
// by blockDim.y threads stands over a tile of columns, N to a thread, and goes
// down the rows: what belongs to a column is read once a thread, neighbouring
// threads touch neighbouring addresses, and no index is divided.
#pragma once

#include "fluxion.cuh"

constexpr int block_threads = 256; // at most

// View is a matrix of a launch: rows pitch elements apart.
template <typename T>
struct View {
  T *data;
  int64_t pitch;

  __device__ T *at(int row, int column) const { return data + row * pitch + column; }
};

// Packed is N elements as they were read: registers for 16 bytes, not for N floats.
template <typename T, int N>
struct Packed {
  uint4 word;

  __device__ void read(const T *p) { word = *reinterpret_cast<const uint4 *>(p); }
  __device__ void unpack(float (&v)[N]) const { load(v, reinterpret_cast<const T *>(&word)); }
};
template <typename T>
struct Packed<T, 1> {
  T word;

  __device__ void read(const T *p) { word = *p; }
  __device__ void unpack(float (&v)[1]) const { v[0] = widen(word); }
};

// column is the first of this thread's N columns.
template <int N>
__device__ inline int column() { return int(blockIdx.y * blockDim.x + threadIdx.x) * N; }

// down visits rows first, first+step, ... before end, Unroll of them at a time:
// all are read before the first is written, so that their reads overlap.
template <int Unroll, typename Values, typename Read, typename Write>
__device__ inline void down(int first, int end, int step, Read read, Write write) {
  for (int row = first; row < end; row += Unroll * step) {
    Values values[Unroll] = {}; // also what is not read, as a sum may take it in and then discard it
#pragma unroll
    for (int i = 0; i < Unroll; i++) {
      if (row + i * step < end) read(values[i], row + i * step);
    }
#pragma unroll
    for (int i = 0; i < Unroll; i++) {
      if (row + i * step < end) write(values[i], row + i * step);
    }
  }
}

// thread is the number of this thread in its block of threads().
__device__ inline int thread() { return threadIdx.y * blockDim.x + threadIdx.x; }
__device__ inline int threads() { return blockDim.x * blockDim.y; }

// Images cuts the rows of NHWC tensors, the pixels of one image after those of
// another, for kernels with values of their own for each image: a block has
// either a part of one image's rows or several whole images.
struct Images {
  int32_t images, pixels;
  int32_t group; // images of a block
  int32_t parts; // blocks of an image; 1 if group > 1
  int32_t length; // rows of a part

  __device__ int first() const { return blockIdx.x / parts * group; }
  __device__ int part() const { return blockIdx.x % parts; }
  __device__ int count() const { return min(group, images - first()); } // images of this block
  // The rows of the block's image i.
  __device__ int row(int i) const { return (first() + i) * pixels + part() * length; }
  __device__ int end(int i) const { return min(row(i) + length, (first() + i + 1) * pixels); }
};

// VARIANTS makes the functions of a kernel template FUNCTION<T, N>: NAME_f32 and
// NAME_bf16 with accesses of 16 bytes, NAME_f32_scalar and NAME_bf16_scalar.
// PARAMETERS is a macro with the parameter list over T. What may follow is how many blocks of all but NAME_bf16,
// which needs more registers, a multiprocessor is to hold: assemblers would else spill a few to have more.
#define VARIANT(NAME, FUNCTION, T, N, PARAMETERS, ARGUMENTS, ...) \
  extern "C" __global__ void __launch_bounds__(block_threads, ##__VA_ARGS__) NAME PARAMETERS(T) { FUNCTION<T, N> ARGUMENTS; }
#define VARIANTS(NAME, FUNCTION, PARAMETERS, ARGUMENTS, ...)                                  \
  VARIANT(NAME##_f32, FUNCTION, float, vector<float>, PARAMETERS, ARGUMENTS, ##__VA_ARGS__)   \
  VARIANT(NAME##_f32_scalar, FUNCTION, float, 1, PARAMETERS, ARGUMENTS, ##__VA_ARGS__)        \
  VARIANT(NAME##_bf16, FUNCTION, bf16, vector<bf16>, PARAMETERS, ARGUMENTS)                   \
  VARIANT(NAME##_bf16_scalar, FUNCTION, bf16, 1, PARAMETERS, ARGUMENTS, ##__VA_ARGS__)
