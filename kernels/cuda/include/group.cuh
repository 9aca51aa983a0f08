// Four float values of an image at a time, for kernels that go through images
// value by value: random numbers come in fours (philox.cuh).
#pragma once

#include "fluxion.cuh"

// View is a float matrix; data is null where there is none.
struct View {
  float *data;
  uint64_t pitch;
};

// Span is a block's part of an image, values from to to−1. Images of so many values are cut
// alike, and all their spans are one row of blocks (cuda.Spans): a grid is 65,535 high at most.
struct Span {
  uint32_t image, from, to;

  __device__ Span(uint32_t values, uint32_t span) {
    const uint32_t spans = (values + span - 1) / span;
    image = blockIdx.x / spans;
    from = (blockIdx.x - image * spans) * span;
    to = min(from + span, values);
  }
};

// Group is values v to v+3 of an image of pixels × channels. With Vector, matrices
// are dense, 16-byte aligned, and images are whole groups; without, a pitch and an
// end within the group (at value end) are minded.
template <bool Vector>
struct Group {
  uint64_t at; // of the first value, where matrices are dense
  uint64_t row[4];
  uint32_t column[4], n;

  __device__ Group(uint32_t image, uint32_t pixels, uint32_t channels, uint32_t v, uint32_t end) {
    at = uint64_t(pixels) * channels * image + v;
    n = min(4u, end - v);
    if constexpr (!Vector) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        row[j] = uint64_t(pixels) * image + (v + j) / channels;
        column[j] = (v + j) % channels;
      }
    }
  }

  __device__ void read(float (&x)[4], const View &m) const {
    if constexpr (Vector) {
      load(x, m.data + at);
    } else {
#pragma unroll
      for (int j = 0; j < 4; j++) x[j] = j < n ? m.data[row[j] * m.pitch + column[j]] : 0;
    }
  }

  __device__ void write(const View &m, const float (&x)[4]) const {
    if constexpr (Vector) {
      store(m.data + at, x);
    } else {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (j < n) m.data[row[j] * m.pitch + column[j]] = x[j];
      }
    }
  }
};
