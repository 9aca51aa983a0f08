// The weighted mean squared error and its gradient: see loss.go. A block is a span
// of values of one image.
#include "group.cuh"
#include "sums.cuh"

constexpr int threads = 256;

struct Launch {
  View y, target;
  const float *weight;             // of each image
  uint32_t pixels, channels, span; // of an image; values of a block
  float scale;                     // of the gradient: 2/values of the batch
};

// partial leaves a block's sum of weighted squares.
template <bool Vector>
__device__ void partial(double *sums, const Launch &k) {
  __shared__ double shared[threads / 32];
  const Span part(k.pixels * k.channels, k.span);
  double sum = 0;
  for (uint32_t v = part.from + 4 * threadIdx.x; v < part.to; v += 4 * threads) {
    const Group<Vector> group(part.image, k.pixels, k.channels, v, part.to);
    float y[4], target[4];
    group.read(y, k.y);
    group.read(target, k.target);
    float squares = 0;
#pragma unroll
    for (int j = 0; j < 4; j++) squares += (y[j] - target[j]) * (y[j] - target[j]);
    sum += squares;
  }
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum * k.weight[part.image];
}

extern "C" __global__ void __launch_bounds__(threads) loss_partial(double *sums, Launch k) { partial<false>(sums, k); }

extern "C" __global__ void __launch_bounds__(threads) loss_partial_vector(double *sums, Launch k) { partial<true>(sums, k); }

// One block: the mean of what all blocks left.
extern "C" __global__ void __launch_bounds__(threads) loss_mean(float *loss, const double *sums, uint32_t n, uint64_t values) {
  __shared__ double shared[threads / 32];
  double sum = 0;
  for (uint32_t i = threadIdx.x; i < n; i += threads) sum += sums[i];
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) *loss = float(sum / double(values));
}

template <bool Vector>
__device__ void gradient(const View &dy, const Launch &k) {
  const Span part(k.pixels * k.channels, k.span);
  const float scale = k.scale * k.weight[part.image];
  for (uint32_t v = part.from + 4 * threadIdx.x; v < part.to; v += 4 * threads) {
    const Group<Vector> group(part.image, k.pixels, k.channels, v, part.to);
    float y[4], target[4];
    group.read(y, k.y);
    group.read(target, k.target);
#pragma unroll
    for (int j = 0; j < 4; j++) y[j] = scale * (y[j] - target[j]);
    group.write(dy, y);
  }
}

extern "C" __global__ void __launch_bounds__(threads) loss_grad(View dy, Launch k) { gradient<false>(dy, k); }

extern "C" __global__ void __launch_bounds__(threads) loss_grad_vector(View dy, Launch k) { gradient<true>(dy, k); }

// One block an image: its mean squared error.
template <bool Vector>
__device__ void images(float *errors, const View &y, const View &target, uint32_t pixels, uint32_t channels) {
  __shared__ double shared[threads / 32];
  const uint32_t values = pixels * channels;
  double sum = 0;
  for (uint32_t v = 4 * threadIdx.x; v < values; v += 4 * threads) {
    const Group<Vector> group(blockIdx.x, pixels, channels, v, values);
    float a[4], b[4];
    group.read(a, y);
    group.read(b, target);
    float squares = 0;
#pragma unroll
    for (int j = 0; j < 4; j++) squares += (a[j] - b[j]) * (a[j] - b[j]);
    sum += squares;
  }
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) errors[blockIdx.x] = float(sum / double(values));
}

extern "C" __global__ void __launch_bounds__(threads) loss_images(float *errors, View y, View target, uint32_t pixels, uint32_t channels) {
  images<false>(errors, y, target, pixels, channels);
}

extern "C" __global__ void __launch_bounds__(threads) loss_images_vector(float *errors, View y, View target, uint32_t pixels, uint32_t channels) {
  images<true>(errors, y, target, pixels, channels);
}

// weight/(error + c)^p of each image, or of the root of its error.
extern "C" __global__ void __launch_bounds__(threads) loss_adaptive(float *weights, const float *errors, const float *weight, uint32_t n, double p, double c, uint32_t root) {
  const uint32_t i = blockIdx.x * threads + threadIdx.x;
  if (i >= n) return;
  const double error = root ? sqrt(double(errors[i])) : double(errors[i]);
  weights[i] = float(double(weight[i]) * exp(-p * log(error + c)));
}

// One block: the mean of weight·(√(scale²·error + c²) − c).
extern "C" __global__ void __launch_bounds__(threads) loss_huber(float *loss, const float *errors, const float *weight, const float *scale, uint32_t n, double c) {
  __shared__ double shared[threads / 32];
  double sum = 0;
  for (uint32_t i = threadIdx.x; i < n; i += threads) {
    const double s = scale[i];
    sum += double(weight[i]) * (sqrt(s * s * double(errors[i]) + c * c) - c);
  }
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) *loss = float(sum / double(n));
}

// weight·scale²/(2√(scale²·error + c²)) of each image: by these, the gradient of the square is that of huber.
extern "C" __global__ void __launch_bounds__(threads) loss_huber_weights(float *weights, const float *errors, const float *weight, const float *scale, uint32_t n, double c) {
  const uint32_t i = blockIdx.x * threads + threadIdx.x;
  if (i >= n) return;
  const double s = double(scale[i]) * double(scale[i]);
  weights[i] = float(double(weight[i]) * s / (2 * sqrt(s * double(errors[i]) + c * c)));
}

// A term of the variational bound: see variational.go. Numbers of an image are in the order there.
struct Bound {
  View y, v, target, x;
  const float *numbers;
  uint32_t pixels, channels, span, images; // of an image; values of a block; of the batch
};

struct Term {
  double value, slope, mean; // in bits, and its derivatives by v and y
};

__device__ inline double phi(double z) { return erfc(-z * 0.70710678118654752) / 2; }

__device__ inline double moment(double z) { return isinf(z) ? 0 : z * exp(-z * z / 2) * 0.3989422804014327; }

__device__ inline double density(double z) { return exp(-z * z / 2) * 0.3989422804014327; }

__device__ Term bound_term(const float *k, double y, double v, double target, double x) {
  constexpr double bits = 1.4426950408889634, least = 1e-12;
  const double scale = k[1], spread = k[2], constant = k[3], own = k[4], bin = k[5];
  const double d = scale * (y - target), u = spread * (1 + v) / 2;
  if (bin == 0) {
    const double r = exp(-u) * (own + d * d);
    return {bits * (constant + u + r) / 2, bits * spread / 4 * (1 - r), bits * exp(-u) * d * scale};
  }
  const double shrink = exp(-u / 2), end = 0.999, none = 1.0 / 0.0;
  double a = (d + bin) * shrink, b = (d - bin) * shrink;
  if (x < -end) b = -none;
  else if (x > end) a = none;
  double mean = -shrink * scale;
  if (a + b > 0) { // of two numbers near 1 the difference would be nothing
    const double other = -a;
    a = -b;
    b = other;
    mean = -mean;
  }
  const double mass = phi(a) - phi(b);
  if (!(mass > least)) return {-bits * log(least), 0, 0};
  return {-bits * log(mass), bits * spread / 2 * (moment(a) - moment(b)) / (2 * mass), bits * mean * (density(a) - density(b)) / mass};
}

// each_term visits the values of a block, one at a time: a term takes many registers.
template <typename F>
__device__ inline void each_term(const Bound &k, F visit) {
  const Span part(k.pixels * k.channels, k.span);
  const float *numbers = k.numbers + part.image * 6;
  for (uint32_t i = part.from + threadIdx.x; i < part.to; i += threads) {
    const uint64_t row = uint64_t(k.pixels) * part.image + i / k.channels;
    const uint32_t column = i % k.channels;
    const auto at = [&](const View &m) { return m.data[row * m.pitch + column]; };
    visit(row, column, bound_term(numbers, at(k.y), at(k.v), at(k.target), at(k.x)), double(numbers[0]));
  }
}

extern "C" __global__ void __launch_bounds__(threads) loss_variational(double *sums, Bound k) {
  __shared__ double shared[threads / 32];
  double sum = 0;
  each_term(k, [&](uint64_t, uint32_t, const Term &t, double weight) { sum += weight * t.value; });
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// One block: the mean of what all blocks left, and plus, where there is such.
extern "C" __global__ void __launch_bounds__(threads) loss_variational_mean(float *loss, const double *sums, uint32_t n, uint64_t values, const float *plus) {
  __shared__ double shared[threads / 32];
  double sum = 0;
  for (uint32_t i = threadIdx.x; i < n; i += threads) sum += sums[i];
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) *loss = float(sum / double(values)) + (plus ? *plus : 0);
}

extern "C" __global__ void __launch_bounds__(threads) loss_variational_grad(View dv, Bound k) {
  const double values = double(k.pixels) * k.channels * k.images;
  each_term(k, [&](uint64_t row, uint32_t column, const Term &t, double weight) { dv.data[row * dv.pitch + column] = float(weight * t.slope / values); });
}

extern "C" __global__ void __launch_bounds__(threads) loss_variational_grad_mean(View dy, Bound k) {
  const double values = double(k.pixels) * k.channels * k.images;
  each_term(k, [&](uint64_t row, uint32_t column, const Term &t, double weight) { dy.data[row * dy.pitch + column] = float(weight * t.mean / values); });
}

// A block, whose span is a whole image, for each.
extern "C" __global__ void __launch_bounds__(threads) loss_variational_images(float *terms, Bound k) {
  __shared__ double shared[threads / 32];
  double sum = 0;
  each_term(k, [&](uint64_t, uint32_t, const Term &t, double) { sum += t.value; });
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) terms[blockIdx.x] = float(sum / (double(k.pixels) * k.channels));
}
