// x·tanh(ln(1 + eˣ)) and its gradient; mish.go has the formulas.
#include "activation.cuh"

// gate is tanh(ln(1 + exp(x))), of which rest is what it lacks to 1: neither cancels.
__device__ inline float gate(float x, float &rest) {
  const float u = expf(-fabsf(x)), one = x >= 0 ? 2 * u * u : 2, part = x >= 0 ? 1 + 2 * u : u * u + 2 * u;
  const float whole = part + one;
  rest = one / whole;
  return part / whole;
}

__device__ inline float value(float x) {
  float rest;
  return x * gate(x, rest);
}

__device__ inline float slope(float x) {
  float rest;
  const float y = gate(x, rest), u = expf(-fabsf(x));
  return y + x * rest * (1 + y) * (x >= 0 ? 1 : u) / (1 + u);
}

ACTIVATION(mish)
