// Times and classes as vectors: see embed.go.
#include "philox.cuh"

constexpr int threads = 128;

struct Matrix {
  float *data;
  uint64_t pitch;
  uint32_t rows, cols;
};

// One pair of sine and cosine a thread. An angle may be a million radians and more,
// so it is found in float64, as a fraction of a turn; from there sincos is exact to
// 1.5e-7.
extern "C" __global__ void __launch_bounds__(threads) embed_timestep(Matrix y, const float *times, double exponent, double turns, uint32_t cosine_first) {
  const uint32_t half = y.cols / 2, k = blockIdx.y * threads + threadIdx.x;
  if (k >= half) return;
  const double turn = turns * double(times[blockIdx.x]) * exp(exponent * double(k));
  const double fraction = (turn - floor(turn)) * 0x1p32;
  float sin, cos;
  philox::sincos(sin, cos, uint32_t(__double2ull_rn(fraction))); // 2³² is a whole turn, 0
  float *row = y.data + blockIdx.x * y.pitch;
  row[k] = cosine_first ? cos : sin;
  row[half + k] = cosine_first ? sin : cos;
}

// Rows of the table by index. An index that is none gives NaN.
extern "C" __global__ void __launch_bounds__(threads) embed_lookup(Matrix y, Matrix table, const float *index) {
  const uint32_t c = blockIdx.y * threads + threadIdx.x;
  if (c >= y.cols) return;
  const float i = index[blockIdx.x];
  const bool known = i >= 0 && i < float(table.rows);
  y.data[blockIdx.x * y.pitch + c] = known ? table.data[uint32_t(i) * table.pitch + c] : __uint_as_float(0x7fc00000u);
}

// Row blockIdx.x of the table's gradient: the sum, in order, of the rows of dy that
// were taken from it.
extern "C" __global__ void __launch_bounds__(threads) embed_lookup_grad(Matrix table, Matrix dy, const float *index) {
  __shared__ float indices[threads];
  const uint32_t c = blockIdx.y * threads + threadIdx.x;
  float sum = 0;
  for (uint32_t first = 0; first < dy.rows; first += threads) {
    const uint32_t n = min(uint32_t(threads), dy.rows - first);
    if (threadIdx.x < n) indices[threadIdx.x] = index[first + threadIdx.x];
    __syncthreads();
    for (uint32_t i = 0; i < n; i++) {
      if (uint32_t(indices[i]) == blockIdx.x && c < dy.cols) sum += dy.data[(first + i) * dy.pitch + c];
    }
    __syncthreads();
  }
  if (c < table.cols) table.data[blockIdx.x * table.pitch + c] = sum;
}

// Sines and cosines of frequencies that are weights: see fourier.go.
extern "C" __global__ void __launch_bounds__(threads) embed_fourier(Matrix y, const float *times, const float *frequencies, uint32_t logarithm, uint32_t cosine_first) {
  const uint32_t half = y.cols / 2, k = blockIdx.y * threads + threadIdx.x;
  if (k >= half) return;
  const double t = double(times[blockIdx.x]), turn = (logarithm ? log(t) : t) * double(frequencies[k]);
  const double fraction = (turn - floor(turn)) * 0x1p32;
  float sin, cos;
  philox::sincos(sin, cos, uint32_t(__double2ull_rn(fraction)));
  float *row = y.data + blockIdx.x * y.pitch;
  row[k] = cosine_first ? cos : sin;
  row[half + k] = cosine_first ? sin : cos;
}
