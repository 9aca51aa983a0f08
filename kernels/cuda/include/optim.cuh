// What the kernels of all optimizers have in common; the other half is
// kernels/optim.
#pragma once

#include "fluxion.cuh"

constexpr int threads = 256; // of a block; each has four elements

// first is the first element of this thread.
__device__ inline uint64_t first() { return (uint64_t(blockIdx.x) * threads + threadIdx.x) * 4; }

// clipped returns what the gradients are multiplied by, and whether their norm is finite:
// if not, the step leaves everything as it is.
__device__ inline float clipped(float norm, double grad_scale, double clip_norm, bool &finite) {
  finite = isfinite(norm);
  const double scaled = double(norm) * grad_scale;
  return float(clip_norm > 0 && scaled > clip_norm ? grad_scale * clip_norm / scaled : grad_scale);
}

// Every parameter begins on a line of so many elements of a flat buffer.
constexpr int line = 16;

// behind is how many of the edges, in lines and in their order, element i is not before:
// an odd number inside of ranges that begin and end there.
__device__ inline uint32_t behind(const uint32_t *edges, uint32_t count, uint64_t i) {
  const uint32_t at = uint32_t(i / line);
  uint32_t from = 0;
  while (from < count) {
    const uint32_t middle = (from + count) / 2;
    if (edges[middle] <= at) {
      from = middle + 1;
    } else {
      count = middle;
    }
  }
  return from;
}

// Flat is the buffers of a step.
template <int States>
struct Flat {
  float *parameters;
  const float *gradients;
  float *states[States];
  float *average;
  bf16 *copy; // null where products read the parameters themselves
  const float *norm;
  uint64_t n;
  uint32_t undecayed, unused; // edges of what has no weight decay, behind the row
};

// step lets update(row, decay, g, p, states) change each parameter by its scaled gradient
// and its states, and brings the average and the copy up to date. Four elements a thread.
// A norm that is not finite leaves everything as it is.
template <typename Row, int States>
__device__ inline void step(const Flat<States> &b, const Parameters &p) {
  __shared__ Row s;
  __shared__ float shared_scale;
  __shared__ bool finite;
  if (threadIdx.x == 0) {
    s = *p.row<Row>();
    shared_scale = clipped(*b.norm, s.grad_scale, s.clip_norm, finite);
  }
  __syncthreads();
  const uint64_t i = first();
  if (!finite || i >= b.n) return;
  const float scale = shared_scale;
  float decay = s.decay;
  if (b.undecayed && behind(reinterpret_cast<const uint32_t *>(p.row<Row>() + 1), b.undecayed, i) % 2) decay = 0;

  if (i + 4 <= b.n) {
    float w[4], g[4], a[4], v[States][4];
    load(w, b.parameters + i);
    load(g, b.gradients + i);
#pragma unroll
    for (int k = 0; k < States; k++) load(v[k], b.states[k] + i);
    load(a, b.average + i);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float state[States];
#pragma unroll
      for (int k = 0; k < States; k++) state[k] = v[k][j];
      update(s, decay, g[j] * scale, w[j], state);
#pragma unroll
      for (int k = 0; k < States; k++) v[k][j] = state[k];
      a[j] += (1 - s.ema_decay) * (w[j] - a[j]);
    }
    store(b.parameters + i, w);
#pragma unroll
    for (int k = 0; k < States; k++) store(b.states[k] + i, v[k]);
    store(b.average + i, a);
    if (b.copy) store(b.copy + i, w);
    return;
  }
  for (uint64_t j = i; j < b.n; j++) {
    float w = b.parameters[j], a = b.average[j], state[States];
#pragma unroll
    for (int k = 0; k < States; k++) state[k] = b.states[k][j];
    update(s, decay, b.gradients[j] * scale, w, state);
    a += (1 - s.ema_decay) * (w - a);
    b.parameters[j] = w, b.average[j] = a;
#pragma unroll
    for (int k = 0; k < States; k++) b.states[k][j] = state[k];
    if (b.copy) b.copy[j] = narrow<bf16>(w);
  }
}
