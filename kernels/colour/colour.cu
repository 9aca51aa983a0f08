// White noise becomes noise of a spectrum, in place: see colour.go. Every operation is
// rounded on its own, and sums go from the first place to the last, for the same bits as
// there. A block is one channel of one image.
#include "fluxion.cuh"

constexpr int threads = 256;

// Lines are n places, stride apart; the transform of all lines of a plane.
__device__ inline void along(float *to, uint64_t to_pitch, const float *from, uint64_t from_pitch, const float *cosines, const float *amplitude,
                             uint32_t pixels, uint32_t n, uint32_t stride, bool back) {
  for (uint32_t at = threadIdx.x; at < pixels; at += threads) {
    const uint32_t q = at / stride % n, first = at - q * stride;
    float sum = 0;
    for (uint32_t i = 0; i < n; i++) {
      const float c = back ? cosines[i * n + q] : cosines[q * n + i];
      sum = __fadd_rn(sum, __fmul_rn(c, from[from_pitch * (first + i * stride)]));
    }
    to[to_pitch * at] = amplitude ? __fmul_rn(amplitude[at], sum) : sum;
  }
  __syncthreads();
}

extern "C" __global__ void __launch_bounds__(threads)
    colour_images(float *images, uint64_t pitch, float *scratch, uint32_t height, uint32_t width, uint32_t channels, Parameters p) {
  const uint32_t pixels = height * width, image = blockIdx.x / channels, channel = blockIdx.x % channels;
  const float *amplitude = p.row<float>(), *rows = amplitude + pixels, *columns = rows + height * height;
  float *x = images + pitch * pixels * image + channel, *s = scratch + uint64_t(pixels) * blockIdx.x;
  along(s, 1, x, pitch, rows, nullptr, pixels, height, width, false);
  along(x, pitch, s, 1, columns, amplitude, pixels, width, 1, false);
  along(s, 1, x, pitch, rows, nullptr, pixels, height, width, true);
  along(x, pitch, s, 1, columns, nullptr, pixels, width, 1, true);
}
