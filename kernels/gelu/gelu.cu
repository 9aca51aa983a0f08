// x·Φ(x) and its gradient; gelu.go has the formulas.
#include "activation.cuh"

// phi is the normal distribution Φ.
__device__ inline float phi(float x) { return 0.5f * erfcf(-0.70710678f * x); }

__device__ inline float value(float x) { return x * phi(x); }

// slope is the derivative of x·Φ(x); 1/√(2π) = 0.3989….
__device__ inline float slope(float x) { return phi(x) + x * 0.39894228f * expf(-0.5f * x * x); }

ACTIVATION(gelu)
