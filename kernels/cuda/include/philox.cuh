// The numbers of package philox, bit for bit: see philox.go for their layout and
// normal.go for their arithmetic. Every operation is rounded on its own (__fmul_rn
// and so on), which forbids the compiler to fuse it with another.
#pragma once

#include "fluxion.cuh"

namespace philox {

// Streams, as in philox.go.
enum Stream : uint32_t { Noise = 0, SampleStart = 3, SampleNoise = 4 };

// Source is a request: everything of the counter but the block.
struct Source {
  uint32_t k0, k1, c0, c1, c2, c3;

  __device__ Source(uint64_t seed, uint32_t stream, uint64_t address, uint32_t step)
      : k0(uint32_t(seed)), k1(uint32_t(seed >> 32)), c0(stream << 24), c1(step), c2(uint32_t(address)), c3(uint32_t(address >> 32)) {}

  // block i: words 4i to 4i+3, by ten rounds of Philox4x32.
  __device__ void block(uint32_t (&w)[4], uint32_t i) const {
    uint32_t a = c0 | i, b = c1, c = c2, d = c3, key0 = k0, key1 = k1;
#pragma unroll
    for (int round = 0; round < 10; round++) {
      const uint64_t p0 = uint64_t(0xD2511F53u) * a, p1 = uint64_t(0xCD9E8D57u) * c;
      a = uint32_t(p1 >> 32) ^ b ^ key0;
      b = uint32_t(p1);
      c = uint32_t(p0 >> 32) ^ d ^ key1;
      d = uint32_t(p0);
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    w[0] = a, w[1] = b, w[2] = c, w[3] = d;
  }

  __device__ void uniform(float (&v)[4], uint32_t i) const;
  __device__ void normal(float (&v)[4], uint32_t i) const;
};

__device__ inline float add(float x, float y) { return __fadd_rn(x, y); }
__device__ inline float sub(float x, float y) { return __fsub_rn(x, y); }
__device__ inline float mul(float x, float y) { return __fmul_rn(x, y); }

// logarithm of a positive normal number, within 1 ulp.
__device__ inline float logarithm(float u) {
  const uint32_t b = __float_as_uint(u) + (0x3f800000u - 0x3f3504f3u);
  const float k = __int2float_rn(int32_t(b >> 23) - 127);
  const float f = sub(__uint_as_float((b & 0x7fffffu) + 0x3f3504f3u), 1);
  const float s = __fdiv_rn(f, add(2, f));
  const float z = mul(s, s), w = mul(z, z);
  const float t1 = mul(w, add(0xccce13.0p-25f, mul(w, 0xf89e26.0p-26f)));
  const float t2 = mul(z, add(0xaaaaaa.0p-24f, mul(w, 0x91e9ee.0p-25f)));
  const float h = mul(mul(0.5f, f), f);
  const float p = mul(s, add(h, add(t2, t1)));
  return add(add(sub(add(p, mul(k, 9.0580006145e-06f)), h), f), mul(k, 6.9313812256e-01f));
}

// sincos of 2π·turn·2⁻³².
__device__ inline void sincos(float &sin, float &cos, uint32_t turn) {
  const uint32_t q = (turn + (1u << 29)) >> 30;
  const float x = mul(__int2float_rn(int32_t(turn - (q << 30))), float(1.57079632679489661923 * 0x1p-30));
  const float z = mul(x, x);
  float p = add(-1.6666654611e-1f, mul(z, add(8.3321608736e-3f, mul(z, -1.9515295891e-4f))));
  const float s = add(x, mul(mul(x, z), p));
  p = add(4.166664568298827e-2f, mul(z, add(-1.388731625493765e-3f, mul(z, 2.443315711809948e-5f))));
  const float c = add(sub(1, mul(0.5f, z)), mul(mul(z, z), p));
  uint32_t a = __float_as_uint(q & 1 ? c : s), b = __float_as_uint(q & 1 ? s : c);
  sin = __uint_as_float(a ^ ((q & 2) << 30));
  cos = __uint_as_float(b ^ (((q + 1) & 2) << 30));
}

__device__ inline void box_muller(float &x, float &y, uint32_t radius, uint32_t angle) {
  const float u = add(mul(__uint2float_rn(radius), 0x1p-32f), 0x1p-33f);
  const float r = __fsqrt_rn(mul(-2, logarithm(u)));
  float s, c;
  sincos(s, c, angle);
  x = mul(r, c);
  y = mul(r, s);
}

// uniform gives values 4i to 4i+3 of the request, in (0, 1).
__device__ inline void Source::uniform(float (&v)[4], uint32_t i) const {
  uint32_t w[4];
  block(w, i);
#pragma unroll
  for (int j = 0; j < 4; j++) v[j] = mul(__uint2float_rn(w[j] >> 8 | 1), 0x1p-24f);
}

// normal gives values 4i to 4i+3 of the request, standard normal.
__device__ inline void Source::normal(float (&v)[4], uint32_t i) const {
  uint32_t w[4];
  block(w, i);
  box_muller(v[0], v[1], w[0], w[1]);
  box_muller(v[2], v[3], w[2], w[3]);
}

} // namespace philox
