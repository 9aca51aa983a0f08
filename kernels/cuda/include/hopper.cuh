// What Hopper (compute_90a) has for matrix products: barriers in shared memory, boxes of tensors
// that one thread copies there, and products of what lies there by four warps at a time. PTX ISA
// 8.1, sections "mbarrier", "cp.async.bulk.tensor", "wgmma", "setmaxnreg".
#pragma once

#include "mma.cuh"

// TensorMap is what the driver makes of a cuda.TensorMap. A kernel takes it as const __grid_constant__.
struct alignas(64) TensorMap {
  uint8_t opaque[128];
};

__device__ inline void barrier_init(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

// barrier_publish lets bulk copies see the barriers that this thread has made.
__device__ inline void barrier_publish() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ inline void barrier_arrive(uint32_t barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory"); }

// barrier_expect arrives and lets the phase last until so many bytes have come.
__device__ inline void barrier_expect(uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// barrier_wait returns when the phase of this parity is over: phases count 0, 1, 0, …
__device__ inline void barrier_wait(uint32_t barrier, uint32_t parity) {
  uint32_t over;
  do {
    asm volatile("{\n\t.reg .pred p;\n\tmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\tselp.u32 %0, 1, 0, p;\n\t}" : "=r"(over) : "r"(barrier), "r"(parity) : "memory");
  } while (!over);
}

// copy_box copies the box whose first element is at c0, c1, … of a tensor. What lies outside of it is zero.
__device__ inline void copy_box(uint32_t to, const TensorMap &map, uint32_t barrier, int c0, int c1, int c2) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(to), "l"(&map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2) : "memory");
}

__device__ inline void copy_box(uint32_t to, const TensorMap &map, uint32_t barrier, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(to), "l"(&map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3) : "memory");
}

// Blocks of a cluster run side by side. cluster_rank is the number of this one, cluster_begin waits until all have
// published the barriers that they made; it orders nothing else.
__device__ inline int cluster_rank() {
  int rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

__device__ inline void cluster_begin() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// barrier_of is where the barrier of another block of the cluster lies that is at the same place as this one.
__device__ inline uint32_t barrier_of(int block, uint32_t barrier) {
  uint32_t there;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(barrier), "r"(block));
  return there;
}

// barrier_arrive_there arrives at a barrier of another block. Its scope is that of this block, though: one of the cluster would
// wait for all stores each time (MEMBAR.GPU), and what it hands over is a slot that was read, as everybody's libraries do it.
__device__ inline void barrier_arrive_there(uint32_t barrier) { asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory"); }

// copy_box_to_both copies to the memory of the first two blocks of the cluster, and tells the barriers of both, each at the same place as here.
__device__ inline void copy_box_to_both(uint32_t to, const TensorMap &map, uint32_t barrier, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%3, %4, %5, %6}], [%2], %7;" ::"r"(to), "l"(&map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "h"(uint16_t(3)) : "memory");
}

// Registers of a thread can be given to other warps of the block; all four warps of a group do so.
template <int Count>
__device__ inline void give_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Count)); }

template <int Count>
__device__ inline void take_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Count)); }

// group_sync is a barrier, by number, of so many threads.
template <int Threads>
__device__ inline void group_sync(int barrier) { asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(Threads) : "memory"); }

// descriptor of an operand whose rows of 128 bytes are swizzled, in pieces of 8 rows: along k if k is
// contiguous, else along m or n, 64 of them in a piece, and Apart bytes from one 64 to the next. What
// lies some bytes further on has a sixteenth of them more.
template <int Apart>
__device__ inline uint64_t descriptor(uint32_t address) {
  constexpr uint64_t by_128 = uint64_t(1) << 62, eight_rows = uint64_t(1024 >> 4) << 32;
  return by_128 | eight_rows | uint64_t(Apart >> 4) << 16 | (address & 0x3FFFF) >> 4;
}

// Products run until they are waited for; their sums must not be touched before. multiply_begin makes
// what was done with the registers known, multiply_commit closes a group of products, and
// multiply_wait returns when all but the last Left groups are over.
__device__ inline void multiply_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void multiply_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

template <int Left>
__device__ inline void multiply_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Left) : "memory"); }

#define SUMS_4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SUMS_16(d, i) SUMS_4(d, i), SUMS_4(d, i + 4), SUMS_4(d, i + 8), SUMS_4(d, i + 12)

#define SUMS_64(d) SUMS_16(d, 0), SUMS_16(d, 16), SUMS_16(d, 32), SUMS_16(d, 48)
#define SUMS_OF_FIRST \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define SUMS_OF_SECOND \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define WGMMA_64_128(sums, operands, sides) "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" sums "}, " operands ", p, 1, 1, " sides ";\n\t"

// multiply adds products of 64×16 and 16×128 to sums, of which warp w of the four has rows 16w and on, in
// fragments as mma.sync has them. SideA and SideB say that m, or n, is contiguous and not k.
template <bool SideA, bool SideB>
__device__ inline void multiply(float (&d)[1][64], const uint64_t (&a)[1], uint64_t b) {
  asm volatile(
      "{\n\t.reg .pred p;\n\tsetp.eq.u32 p, 0, 0;\n\t" WGMMA_64_128(SUMS_OF_FIRST, "%64, %65", "%66, %67") "}"
      : SUMS_64(d[0])
      : "l"(a[0]), "l"(b), "n"(int(SideA)), "n"(int(SideB)));
}

template <bool SideA, bool SideB>
__device__ inline void multiply(float (&d)[2][64], const uint64_t (&a)[2], uint64_t b) {
  asm volatile(
      "{\n\t.reg .pred p;\n\tsetp.eq.u32 p, 0, 0;\n\t" WGMMA_64_128(SUMS_OF_FIRST, "%128, %130", "%131, %132") WGMMA_64_128(SUMS_OF_SECOND, "%129, %130", "%131, %132") "}"
      : SUMS_64(d[0]), SUMS_64(d[1])
      : "l"(a[0]), "l"(a[1]), "l"(b), "n"(int(SideA)), "n"(int(SideB)));
}
