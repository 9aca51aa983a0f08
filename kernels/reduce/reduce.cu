// Sums over rows in two passes of fixed order; cuda.go binds them.
#include "tiles.cuh"
#include "jobs.cuh"

// sum writes, for each part of each image, the sums of its rows.
template <typename T, int N>
__device__ inline void sum(View<const T> x, Images s, float *out, int cols) {
  extern __shared__ __align__(16) float rows[]; // [blockDim.y][width]
  const int width = blockDim.x * N, j = threadIdx.x * N, c = column<N>(), from = c - j;
#pragma unroll 1
  for (int i = 0; i < s.count(); i++) {
    if (c < cols) {
      float total[N] = {};
      down<4, Packed<T, N>>(s.row(i) + threadIdx.y, s.end(i), blockDim.y, [&](Packed<T, N> &read, int r) { read.read(x.at(r, c)); },
          [&](const Packed<T, N> &read, int) {
            float v[N];
            read.unpack(v);
#pragma unroll
            for (int k = 0; k < N; k++) total[k] += v[k];
          });
      store(rows + threadIdx.y * width + j, total);
    }
    __syncthreads();
    float *to = out + ((s.first() + i) * s.parts + s.part()) * cols + from;
#pragma unroll 1
    for (int k = thread(); k < width && from + k < cols; k += threads()) {
      float total = 0;
#pragma unroll 1
      for (int y = 0; y < blockDim.y; y++) total += rows[y * width + k];
      to[k] = total;
    }
    __syncthreads();
  }
}

#define SUM(T) (View<const T> x, Images images, float *out, int cols)
VARIANTS(reduce_sum, sum, SUM, (x, images, out, cols))

// Join is the second pass of sums: out[group] is the sum of parts vectors of cols.
struct Join {
  float *out;
  const float *in;
  int32_t parts, cols;
};

constexpr int joins = 64; // cuda.go's mostJoins

// reduce_join: a block has 32 columns of a group.
extern "C" __global__ void __launch_bounds__(1024) reduce_join(const __grid_constant__ Jobs<Join, joins> jobs) {
  __shared__ float rows[32][32];
  uint3 block;
  const Join &j = jobs.job[jobs.mine(block)];
  const int c = block.y * 32 + threadIdx.x, cols = j.cols, parts = j.parts;
  const float *from = j.in + int64_t(block.x) * parts * cols + c;
  float total = 0;
  if (c < cols) {
#pragma unroll 8
    for (int p = threadIdx.y; p < parts; p += blockDim.y) total += from[int64_t(p) * cols];
  }
  rows[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y > 0 || c >= cols) return;
  for (int y = 1; y < blockDim.y; y++) total += rows[y][threadIdx.x];
  j.out[block.x * cols + c] = total;
}
