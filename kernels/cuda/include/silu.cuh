// SiLU, u·σ(u), and its derivative.
//
// __expf(−u) is ex2.approx(−u·log₂e): 2 ulp, and |u| half-ulps from rounding the
// product. It enters σ times 1−σ, which falls off faster than |u| grows, so σ is
// within 3e-7 wherever it matters; where exp overflows, σ is 0 exactly.
#pragma once

__device__ inline float sigmoid(float u) { return __fdividef(1, 1 + __expf(-u)); }

__device__ inline float silu(float u) { return u * sigmoid(u); }

// silu_slope is the derivative of silu at u.
__device__ inline float silu_slope(float u) {
  const float s = sigmoid(u);
  return s * (1 + u * (1 - s));
}
