// Tensor cores and the way to them: asynchronous copies to shared memory,
// ldmatrix, mma.sync m16n8k16 on bf16, and the two layouts of tiles in shared
// memory, whose 16-byte chunks are permuted so that no bank is asked twice.
#pragma once

#include "fluxion.cuh"

// shared_address is what the instructions below want.
__device__ inline uint32_t shared_address(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }

// copy_async copies this many bytes, up to 16, and fills the rest of the 16 with zeros.
__device__ inline void copy_async(uint32_t to, const void *from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

__device__ inline void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// copy_wait returns when all but the last Left groups of this thread have landed.
template <int Left>
__device__ inline void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory"); }

__device__ inline void shared_store(uint32_t to, uint4 v) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

__device__ inline void shared_load(uint4 &v, uint32_t from) {
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(from) : "memory");
}

__device__ inline void shared_load(float (&v)[4], uint32_t from) {
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v[0]), "=f"(v[1]), "=f"(v[2]), "=f"(v[3]) : "r"(from) : "memory");
}

// ldmatrix loads four 8×8 matrices of 16-bit elements; lane l gives the address
// of row l%8 of matrix l/8. Transposed swaps rows and columns on the way.
template <bool Transposed>
__device__ inline void ldmatrix(uint32_t (&r)[4], uint32_t from) {
  if constexpr (Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
  }
}

// mma adds the product of a 16×16 and a 16×8 fragment to a 16×8 fragment.
__device__ inline void mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Tiles of a matrix product in shared memory are as the operand lies in global
// memory. Either k is contiguous: a row of the tile is 64 bytes, 4 chunks, for
// each index m or n. Two rows share the 32 banks, so eight rows at the same chunk
// touch every bank once if the chunk is permuted by half the row.
__device__ inline uint32_t deep_offset(int row, int chunk) { return row * 64 + ((chunk ^ ((row >> 1) & 3)) << 4); }

// Or m or n is contiguous: a row of the tile is Bytes, 32 or a multiple of 128, for
// each k. Eight rows at the same chunk touch every bank once if it is permuted by the
// row, or where four rows share the banks, by every fourth.
template <int Bytes>
__device__ inline uint32_t wide_offset(int row, int chunk) {
  static_assert(Bytes == 32 || Bytes % 128 == 0, "rows that share the banks otherwise need another permutation");
  return row * Bytes + ((chunk ^ (Bytes == 32 ? row >> 2 & 1 : row & 7)) << 4);
}
