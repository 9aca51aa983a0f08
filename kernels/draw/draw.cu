// The start of a step: the images of a batch from pixels, and noise. See data.go and
// noise.go for what they compute, cuda.go for the layout of the rows; every operation
// is rounded on its own, for the same bits as there. A thread makes 4 values at a time,
// which are one block of Philox.
#include "group.cuh"
#include "philox.cuh"

using namespace philox;

constexpr int threads = 128;

// Image of a batch, as PutParameters writes it.
struct Image {
  uint64_t from; // its first value
  uint32_t flip;
  uint32_t unused;
};

// The launch of a Data. An image is cut into spans of values, one a block.
struct Data {
  View x;
  const uint8_t *resident; // null: pixels are part of the row
  uint64_t offset;         // of pixels in the row
  uint32_t pixels, channels, width, span;
};

// value of a pixel; of a byte (2p−255)/255 rounded once: the quotient by the reciprocal
// is corrected by its remainder, which gives the rounded one for all 256 bytes.
__device__ inline float value(uint8_t p) {
  constexpr float reciprocal = 1.0f / 255;
  const float n = __int2float_rn(2 * int32_t(p) - 255);
  const float x = mul(n, reciprocal);
  return __fmaf_rn(__fmaf_rn(-255, x, n), reciprocal, x);
}

__device__ inline float value(float x) { return x; }

// source is where value v of an image comes from.
__device__ inline uint32_t source(uint32_t v, bool flip, uint32_t width, uint32_t channels) {
  if (!flip) return v;
  const uint32_t pixel = v / channels, column = pixel % width;
  return v + (width - 1 - 2 * column) * channels;
}

// Reads the record of an image, once a block, and returns where it begins.
template <typename T>
__device__ inline const T *fetch(Image &image, uint32_t number, const Data &k, const Parameters &p) {
  const uint8_t *row = p.row<uint8_t>();
  if (threadIdx.x < sizeof(Image) / 4) {
    const uint8_t *record = row + sizeof(Image) * number;
    reinterpret_cast<uint32_t *>(&image)[threadIdx.x] = reinterpret_cast<const uint32_t *>(record)[threadIdx.x];
  }
  __syncthreads();
  return reinterpret_cast<const T *>(k.resident ? k.resident : row + k.offset) + image.from;
}

// Any shape, any pitch.
template <typename T>
__device__ void data(const Data &k, const Parameters &p) {
  __shared__ Image image;
  const Span part(k.pixels * k.channels, k.span);
  const T *pixels = fetch<T>(image, part.image, k, p);
  for (uint32_t v = part.from + 4 * threadIdx.x; v < part.to; v += 4 * threads) {
    const Group<false> group(part.image, k.pixels, k.channels, v, part.to);
    float x[4];
#pragma unroll
    for (int j = 0; j < 4; j++) x[j] = j < group.n ? value(pixels[source(v + j, image.flip, k.width, k.channels)]) : 0;
    group.write(k.x, x);
  }
}

extern "C" __global__ void __launch_bounds__(threads) draw_bytes(Data k, Parameters p) { data<uint8_t>(k, p); }

extern "C" __global__ void __launch_bounds__(threads) draw_floats(Data k, Parameters p) { data<float>(k, p); }

// Quad is four pixels as they lie in memory.
template <typename T>
struct alignas(4 * sizeof(T)) Quad {
  T pixels[4];
};

// A dense operand whose rows and images are whole quads. A span is whole rows of pixels;
// those of a mirrored image pass through shared memory (span pixels).
template <typename T>
__device__ void data_vector(const Data &k, const Parameters &p) {
  extern __shared__ float4 shared[];
  Quad<T> *rows = reinterpret_cast<Quad<T> *>(shared);
  __shared__ Image image;
  const Span part(k.pixels * k.channels, k.span);
  const uint32_t n = part.to - part.from;
  const Quad<T> *quads = reinterpret_cast<const Quad<T> *>(fetch<T>(image, part.image, k, p) + part.from);
  const bool flip = image.flip;
  if (flip) {
    for (uint32_t i = threadIdx.x; i < n / 4; i += threads) rows[i] = quads[i];
    __syncthreads();
  }
  for (uint32_t i = threadIdx.x; i < n / 4; i += threads) {
    Quad<T> quad;
    if (flip) {
#pragma unroll
      for (int j = 0; j < 4; j++) quad.pixels[j] = reinterpret_cast<const T *>(rows)[source(4 * i + j, true, k.width, k.channels)];
    } else {
      quad = quads[i];
    }
    float x[4];
#pragma unroll
    for (int j = 0; j < 4; j++) x[j] = value(quad.pixels[j]);
    store(k.x.data + uint64_t(k.pixels) * k.channels * part.image + part.from + 4 * i, x);
  }
}

extern "C" __global__ void __launch_bounds__(threads) draw_bytes_vector(Data k, Parameters p) { data_vector<uint8_t>(k, p); }

extern "C" __global__ void __launch_bounds__(threads) draw_floats_vector(Data k, Parameters p) { data_vector<float>(k, p); }

struct Head {
  uint64_t seed;
  float scale;
  uint32_t step;
};

// The launch of a Noise. The noise is written to second, too, if it is there.
struct Normals {
  View out, second;
  uint32_t pixels, channels, span, stream;
};

// Reads the head of the row and the address of an image, once a block.
__device__ inline void fetch(Head &head, uint64_t &address, uint32_t image, const Parameters &p) {
  if (threadIdx.x == 0) {
    const uint8_t *row = p.row<uint8_t>();
    head = *reinterpret_cast<const Head *>(row);
    address = reinterpret_cast<const uint64_t *>(row + sizeof(Head))[image];
  }
  __syncthreads();
}

// What a value of the noise is, of mean 0 and variance 1: distribution.go.
struct Normal {
  __device__ static void four(float (&e)[4], const Source &numbers, uint32_t i) { numbers.normal(e, i); }
};

struct Uniform {
  __device__ static void four(float (&e)[4], const Source &numbers, uint32_t i) {
    numbers.uniform(e, i);
#pragma unroll
    for (int j = 0; j < 4; j++) e[j] = mul(1.7320508075688772f, sub(mul(2, e[j]), 1));
  }
};

struct Laplace {
  __device__ static void four(float (&e)[4], const Source &numbers, uint32_t i) {
    uint32_t w[4];
    numbers.block(w, i);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float u = add(mul(__uint2float_rn(w[j] & 0x7fffffffu), 0x1p-31f), 0x1p-32f);
      const float x = mul(-0.70710678118654752f, logarithm(u));
      e[j] = __uint_as_float(__float_as_uint(x) ^ (w[j] & 0x80000000u));
    }
  }
};

template <typename Distribution, bool Vector>
__device__ void noise(const Normals &k, const Parameters &p) {
  __shared__ Head head;
  __shared__ uint64_t address;
  const Span part(k.pixels * k.channels, k.span);
  fetch(head, address, part.image, p);
  const Source numbers(head.seed, k.stream, address, head.step);
  for (uint32_t v = part.from + 4 * threadIdx.x; v < part.to; v += 4 * threads) {
    const Group<Vector> group(part.image, k.pixels, k.channels, v, part.to);
    float e[4];
    Distribution::four(e, numbers, v / 4);
#pragma unroll
    for (int j = 0; j < 4; j++) e[j] = mul(head.scale, e[j]);
    group.write(k.out, e);
    if (k.second.data) group.write(k.second, e);
  }
}

#define NOISE(name, distribution)                                                                                                      \
  extern "C" __global__ void __launch_bounds__(threads) name(Normals k, Parameters p) { noise<distribution, false>(k, p); }            \
  extern "C" __global__ void __launch_bounds__(threads) name##_vector(Normals k, Parameters p) { noise<distribution, true>(k, p); }

NOISE(draw_noise, Normal)
NOISE(draw_uniform, Uniform)
NOISE(draw_laplace, Laplace)
