// Kernels that the simulator's benchmark runs: SiLU over bf16, and a float32
// matrix product of 64 × 64 tiles with 4 × 4 results a thread.
#include <cuda_bf16.h>

extern "C" __global__ void __launch_bounds__(256) silu(const uint4 *x, uint4 *y, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        uint4 u = x[i];
        __nv_bfloat162 *h = reinterpret_cast<__nv_bfloat162 *>(&u);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            float2 f = __bfloat1622float2(h[k]);
            f.x = f.x / (1.f + __expf(-f.x));
            f.y = f.y / (1.f + __expf(-f.y));
            h[k] = __float22bfloat162_rn(f);
        }
        y[i] = u;
    }
}

// c = a b, all n × n, n a multiple of 64; 256 threads, one tile a block.
extern "C" __global__ void __launch_bounds__(256) sgemm(const float *a, const float *b, float *c, int n) {
    __shared__ float left[16][64];
    __shared__ float right[16][64];
    int t = threadIdx.x, row = blockIdx.y * 64, column = blockIdx.x * 64;
    float sum[4][4] = {};
    for (int k = 0; k < n; k += 16) {
        float4 l = *reinterpret_cast<const float4 *>(a + (row + t % 64) * n + k + t / 64 * 4);
        float4 r = *reinterpret_cast<const float4 *>(b + (k + t / 16) * n + column + t % 16 * 4);
        left[t / 64 * 4 + 0][t % 64] = l.x;
        left[t / 64 * 4 + 1][t % 64] = l.y;
        left[t / 64 * 4 + 2][t % 64] = l.z;
        left[t / 64 * 4 + 3][t % 64] = l.w;
        *reinterpret_cast<float4 *>(&right[t / 16][t % 16 * 4]) = r;
        __syncthreads();
#pragma unroll
        for (int j = 0; j < 16; j++) {
            float4 x = *reinterpret_cast<float4 *>(&left[j][t / 16 * 4]);
            float4 y = *reinterpret_cast<float4 *>(&right[j][t % 16 * 4]);
            const float p[4] = {x.x, x.y, x.z, x.w}, q[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
            for (int u = 0; u < 4; u++)
#pragma unroll
                for (int v = 0; v < 4; v++) sum[u][v] += p[u] * q[v];
        }
        __syncthreads();
    }
    for (int u = 0; u < 4; u++)
        *reinterpret_cast<float4 *>(c + (row + t / 16 * 4 + u) * n + column + t % 16 * 4) = make_float4(sum[u][0], sum[u][1], sum[u][2], sum[u][3]);
}
