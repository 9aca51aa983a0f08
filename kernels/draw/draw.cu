// The start of a step: a batch of noisy images and targets from pixels, or the
// noise that sampling starts from. See draw.go for what they compute, cuda.go for
// the layout of the rows; every operation is rounded on its own, for the same bits
// as there. A thread makes 4 values at a time, which are one block of Philox.
#include "group.cuh"
#include "philox.cuh"

using namespace philox;

constexpr int threads = 128;

// Image of a batch, as PutParameters writes it.
struct Image {
  uint64_t address; // in the stream of images
  uint64_t pixels;  // offset of its pixels, bytes
  float alpha, sigma, a, b, time;
  uint32_t flip;
  uint64_t unused;
};

struct Head {
  uint64_t seed;
  float scale; // of Start
  uint32_t unused;
};

// The launch of a Pair. An image is cut into spans of values, one a block.
struct Pair {
  View z, target;
  float *times;            // may be null
  const uint8_t *resident; // null: pixels are part of the row
  uint64_t offset;         // of pixels in the row
  uint32_t pixels, channels, width, span;
};

// value of a pixel, (2p−255)/255 rounded once: the quotient by the reciprocal is
// corrected by its remainder, which gives the rounded one for all 256 pixels.
__device__ inline float value(uint32_t p) {
  constexpr float reciprocal = 1.0f / 255;
  const float n = __int2float_rn(2 * int32_t(p) - 255);
  const float x = mul(n, reciprocal);
  return __fmaf_rn(__fmaf_rn(-255, x, n), reciprocal, x);
}

// source is where value v of an image comes from.
__device__ inline uint32_t source(uint32_t v, bool flip, uint32_t width, uint32_t channels) {
  if (!flip) return v;
  const uint32_t pixel = v / channels, column = pixel % width;
  return v + (width - 1 - 2 * column) * channels;
}

__device__ inline void combine(float &z, float &target, const Image &image, float x, float noise) {
  z = add(mul(image.alpha, x), mul(image.sigma, noise));
  target = add(mul(image.a, x), mul(image.b, noise));
}

// Reads the head of the row and the record of this block's image, once a block.
__device__ inline const uint8_t *fetch(Head &head, Image &image, const Parameters &p) {
  const uint8_t *row = p.row<uint8_t>();
  constexpr uint32_t first = sizeof(Head) / 4, all = first + sizeof(Image) / 4;
  const uint32_t i = threadIdx.x;
  if (i < first) reinterpret_cast<uint32_t *>(&head)[i] = reinterpret_cast<const uint32_t *>(row)[i];
  if (i >= first && i < all) {
    const uint8_t *record = row + sizeof(Head) + sizeof(Image) * blockIdx.y;
    reinterpret_cast<uint32_t *>(&image)[i - first] = reinterpret_cast<const uint32_t *>(record)[i - first];
  }
  __syncthreads();
  return row;
}

// Any shape, any pitch.
extern "C" __global__ void __launch_bounds__(threads) draw_pair(Pair k, Parameters p) {
  __shared__ Head head;
  __shared__ Image image;
  const uint8_t *row = fetch(head, image, p);
  if (threadIdx.x == 0 && blockIdx.x == 0 && k.times) k.times[blockIdx.y] = image.time;
  const uint8_t *pixels = (k.resident ? k.resident : row + k.offset) + image.pixels;
  const Source noise(head.seed, Noise, image.address, 0);
  const uint32_t values = k.pixels * k.channels, from = blockIdx.x * k.span, to = min(from + k.span, values);
  for (uint32_t v = from + 4 * threadIdx.x; v < to; v += 4 * threads) {
    const Group<false> group(blockIdx.y, k.pixels, k.channels, v, to);
    float e[4], z[4], target[4];
    noise.normal(e, v / 4);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float x = j < group.n ? value(pixels[source(v + j, image.flip, k.width, k.channels)]) : 0;
      combine(z[j], target[j], image, x, e[j]);
    }
    group.write(k.z, z);
    group.write(k.target, target);
  }
}

// Dense operands whose rows and images are whole words of pixels. A span is whole
// rows of pixels; those of a mirrored image pass through shared memory (span bytes).
extern "C" __global__ void __launch_bounds__(threads) draw_pair_vector(Pair k, Parameters p) {
  extern __shared__ uint32_t rows[];
  __shared__ Head head;
  __shared__ Image image;
  const uint8_t *row = fetch(head, image, p);
  if (threadIdx.x == 0 && blockIdx.x == 0 && k.times) k.times[blockIdx.y] = image.time;
  const Source noise(head.seed, Noise, image.address, 0);
  const uint32_t values = k.pixels * k.channels, from = blockIdx.x * k.span, n = min(k.span, values - from);
  const uint32_t *pixels = reinterpret_cast<const uint32_t *>((k.resident ? k.resident : row + k.offset) + image.pixels + from);
  const bool flip = image.flip;
  if (flip) {
    for (uint32_t i = threadIdx.x; i < n / 4; i += threads) rows[i] = pixels[i];
    __syncthreads();
  }
  const uint64_t start = uint64_t(values) * blockIdx.y + from;
  for (uint32_t i = threadIdx.x; i < n / 4; i += threads) {
    uint32_t word = 0;
    if (flip) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        word |= uint32_t(reinterpret_cast<const uint8_t *>(rows)[source(4 * i + j, true, k.width, k.channels)]) << 8 * j;
      }
    } else {
      word = pixels[i];
    }
    float e[4], zs[4], ts[4];
    noise.normal(e, from / 4 + i);
#pragma unroll
    for (int j = 0; j < 4; j++) combine(zs[j], ts[j], image, value(word >> 8 * j & 255), e[j]);
    store(k.z.data + start + 4 * i, zs);
    store(k.target.data + start + 4 * i, ts);
  }
}

// The launch of a Start. The noise is written to second, too, if it is there.
struct Start {
  View z, second;
  uint32_t pixels, channels, span, unused;
};

// Scale and the number of the block's image, read once a block.
__device__ inline void fetch(Head &head, uint64_t &address, const Parameters &p) {
  if (threadIdx.x == 0) {
    const uint8_t *row = p.row<uint8_t>();
    head = *reinterpret_cast<const Head *>(row);
    address = reinterpret_cast<const uint64_t *>(row + sizeof(Head))[blockIdx.y];
  }
  __syncthreads();
}

template <bool Vector>
__device__ void start(const Start &k, const Parameters &p) {
  __shared__ Head head;
  __shared__ uint64_t address;
  fetch(head, address, p);
  const Source noise(head.seed, SampleStart, address, 0);
  const uint32_t values = k.pixels * k.channels, from = blockIdx.x * k.span, to = min(from + k.span, values);
  for (uint32_t v = from + 4 * threadIdx.x; v < to; v += 4 * threads) {
    const Group<Vector> group(blockIdx.y, k.pixels, k.channels, v, to);
    float e[4];
    noise.normal(e, v / 4);
#pragma unroll
    for (int j = 0; j < 4; j++) e[j] = mul(head.scale, e[j]);
    group.write(k.z, e);
    if (k.second.data) group.write(k.second, e);
  }
}

extern "C" __global__ void __launch_bounds__(threads) draw_start(Start k, Parameters p) { start<false>(k, p); }

extern "C" __global__ void __launch_bounds__(threads) draw_start_vector(Start k, Parameters p) { start<true>(k, p); }
