// Resampling by two with a separable filter; bind.go binds it, fir.go has the formula.
#include "tiles.cuh"

constexpr int rows_per_thread = 2; // bind.go's rowsPerThread
constexpr int most_taps = 8;       // fir.go's MostTaps

// Filter is resampling of fir.go; weights are in the order of k.
struct Filter {
  float weights[most_taps];
  int taps, up, down, pad;

  // source is the place that tap k of place o takes, or −1.
  __device__ int source(int o, int k, int size) const {
    const int u = o * down + k - pad;
    if (u < 0 || up == 2 && u % 2 != 0) return -1;
    const int i = up == 2 ? u / 2 : u;
    return i < size ? i : -1;
  }
};

template <typename T, int N>
__device__ inline void resample(View<T> out, View<const T> in, int count, int cols, int h, int w, int oh, int ow, const Filter &f) {
  const int c = column<N>();
  if (c >= cols) return;
  const int first = blockIdx.x * rows_per_thread * blockDim.y + threadIdx.y;
#pragma unroll 1
  for (int i = 0; i < rows_per_thread; i++) {
    const int row = first + i * blockDim.y;
    if (row >= count) return;
    const int image = row / (oh * ow), y = row / ow % oh, x = row % ow;
    float sum[N] = {};
#pragma unroll 1
    for (int ky = 0; ky < f.taps; ky++) {
      const int iy = f.source(y, ky, h);
      if (iy < 0) continue;
#pragma unroll 1
      for (int kx = 0; kx < f.taps; kx++) {
        const int ix = f.source(x, kx, w);
        if (ix < 0) continue;
        float v[N];
        load(v, in.at((image * h + iy) * w + ix, c));
        const float weight = f.weights[ky] * f.weights[kx];
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] += weight * v[k];
      }
    }
    store(out.at(row, c), sum);
  }
}

#define RESAMPLE(T) (View<T> out, View<const T> in, int count, int cols, int h, int w, int oh, int ow, Filter f)
VARIANTS(fir_resample, resample, RESAMPLE, (out, in, count, cols, h, w, oh, ow, f))
