// The end of a training step over the flat buffers with Muon: clipping, the momentum of
// matrices, what the products between need, the step of matrices and AdamW's of all
// else, the moving average and the bf16 copy that products read. See muon.go.
#include "optim.cuh"
#include "sums.cuh"

// Row is the row of a step, as PutParameters writes it.
struct Row {
  double grad_scale, clip_norm;
  float rate, momentum, beta1, beta2, epsilon, decay;
  float correction1, correction2; // 1/(1−βᵏ)
  float ema_decay;                // share of the old average that is kept
  uint32_t nesterov;
};
static_assert(sizeof(Row) == 56, "muon.go writes 56 bytes");

// Matrices are ranges of the flat buffers, whose edges lie behind those without decay.
struct Matrices {
  float *directions; // of their weights, in the flat order
  uint32_t edges, unused;
};

__device__ inline bool matrix(const Flat<2> &b, const Parameters &p, const Matrices &m, uint64_t i) {
  return behind(reinterpret_cast<const uint32_t *>(p.row<Row>() + 1) + b.undecayed, m.edges, i) % 2;
}

// The momentum of matrices, and the directions that are to be made orthogonal: zeros if
// the norm is not finite. Four elements a thread, of whole lines.
extern "C" __global__ void __launch_bounds__(threads) muon_directions(Flat<2> b, Parameters p, Matrices to) {
  const uint64_t i = first();
  if (i >= b.n || !matrix(b, p, to, i)) return;
  const Row &s = *p.row<Row>();
  bool finite;
  const float scale = clipped(*b.norm, s.grad_scale, s.clip_norm, finite);
  float g[4] = {}, m[4];
  if (finite) {
    load(g, b.gradients + i);
    load(m, b.states[0] + i);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float e = g[j] * scale;
      m[j] = s.momentum * m[j] + e;
      g[j] = s.nesterov ? e + s.momentum * m[j] : m[j];
    }
    store(b.states[0] + i, m);
  }
  store(to.directions + i, g);
}

// Each block leaves a sum of squares of a matrix, by strides.
extern "C" __global__ void __launch_bounds__(threads) muon_squares(double *sums, const float *x, uint32_t n) {
  __shared__ double shared[threads / 32];
  double sum = 0;
  for (uint32_t i = blockIdx.x * threads + threadIdx.x; i < n; i += gridDim.x * threads) sum = fma(double(x[i]), double(x[i]), sum);
  sum = block_sum<threads>(sum, shared);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// The matrix by its Frobenius norm, of up to 256 sums.
extern "C" __global__ void __launch_bounds__(threads) muon_normalise(float *y, const float *x, const double *sums, uint32_t parts, uint32_t n) {
  __shared__ double shared[threads / 32];
  const double sum = block_sum<threads>(threadIdx.x < parts ? sums[threadIdx.x] : 0, shared);
  const float factor = float(1 / (sqrt(sum) + 1e-7));
  for (uint32_t i = blockIdx.x * threads + threadIdx.x; i < n; i += gridDim.x * threads) y[i] = factor * x[i];
}

// b ← c₂ b + c₁ a + c₀ I, where b is a².
extern "C" __global__ void __launch_bounds__(threads) muon_polynomial(float *b, const float *a, uint32_t side, float c0, float c1, float c2) {
  const uint32_t i = blockIdx.x * threads + threadIdx.x;
  if (i >= side * side) return;
  b[i] = c2 * b[i] + c1 * a[i] + (i % (side + 1) ? 0 : c0);
}

// The step of every weight. Four elements a thread, of whole lines. A norm that is not
// finite leaves everything as it is.
extern "C" __global__ void __launch_bounds__(threads) muon_update(Flat<2> b, Parameters p, Matrices from) {
  const uint64_t i = first();
  if (i >= b.n) return;
  const Row &s = *p.row<Row>();
  bool finite;
  const float scale = clipped(*b.norm, s.grad_scale, s.clip_norm, finite);
  if (!finite) return;
  float decay = s.decay;
  if (b.undecayed && behind(reinterpret_cast<const uint32_t *>(p.row<Row>() + 1), b.undecayed, i) % 2) decay = 0;

  float w[4], a[4];
  load(w, b.parameters + i);
  load(a, b.average + i);
  if (matrix(b, p, from, i)) {
    float d[4];
    load(d, from.directions + i);
#pragma unroll
    for (int j = 0; j < 4; j++) w[j] -= s.rate * (d[j] + decay * w[j]);
  } else {
    float g[4], m[4], v[4];
    load(g, b.gradients + i);
    load(m, b.states[0] + i);
    load(v, b.states[1] + i);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float e = g[j] * scale;
      m[j] = s.beta1 * m[j] + (1 - s.beta1) * e;
      v[j] = s.beta2 * v[j] + (1 - s.beta2) * e * e;
      w[j] -= s.rate * (s.correction1 * m[j] / (sqrtf(v[j] * s.correction2) + s.epsilon) + decay * w[j]);
    }
    store(b.states[0] + i, m);
    store(b.states[1] + i, v);
  }
#pragma unroll
  for (int j = 0; j < 4; j++) a[j] += (1 - s.ema_decay) * (w[j] - a[j]);
  store(b.parameters + i, w);
  store(b.average + i, a);
  if (b.copy) store(b.copy + i, w);
}
