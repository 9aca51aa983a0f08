package sim_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"fluxion/kernels/cuda/sim"
)

// Two blocks copy half of 4 KiB each, to both: the mbarrier at bars is full, that at bars+8 empty, and two arrive there, a
// thread of each block. %t15 is the block, %t12 the other's bars+8, %t10 the mask, %t9 the bytes to expect.
const (
	pairStart = `
	@%p7 mbarrier.init.shared::cta.b64 [bars], 1;
	@%p7 mbarrier.init.shared::cta.b64 [bars+8], 2;
	@%p7 fence.mbarrier_init.release.cluster;
	barrier.cluster.arrive.release.aligned;
	barrier.cluster.wait.acquire.aligned;
	mov.u32 %t15, %cluster_ctarank;
	xor.b32 %t13, %t15, 1;
	mov.u32 %t12, bars;
	add.u32 %t12, %t12, 8;
	mapa.shared::cluster.u32 %t12, %t12, %t13;
	mov.u32 %t10, 3;
	mov.u32 %t9, 4096;
	mov.u32 %t11, memory;
	mad.lo.u32 %t11, %t15, 2048, %t11;
`
	pairCopy = `
	@%p7 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bars], %t9;
	@%p7 cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%t11], [%map, {0, Y, %t15}], [bars], %t10;
`
	pairFree = `
	bar.sync 0;
	@%p7 mbarrier.arrive.shared::cta.b64 _, [bars+8];
	@%p7 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%t12];
	@!%p7 bra E;
D: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, [bars+8], %t1;
	@!%p1 bra D;
E:
`
	// Each thread brings 16 bytes of both halves out, those of block b from 4096·b on.
	pairOut = `
	mov.u32 %t4, memory;
	mad.lo.u32 %t4, %t0, 16, %t4;
	mad.lo.u32 %t3, %t15, 256, %t0;
	mul.wide.u32 %at, %t3, 16;
	add.u64 %at, %out, %at;
	ld.shared.v4.u32 {%t5, %t6, %t7, %t8}, [%t4];
	st.global.v4.u32 [%at], {%t5, %t6, %t7, %t8};
	ld.shared.v4.u32 {%t5, %t6, %t7, %t8}, [%t4+2048];
	st.global.v4.u32 [%at+2048], {%t5, %t6, %t7, %t8};
`
)

// pairProgram goes through the same memory twice.
func pairProgram() string {
	second := strings.ReplaceAll(strings.Replace(await, "A", "F", 2), "%t1;", "1;")
	return pairStart + "\tmov.u32 %t1, 0;\n" + strings.Replace(pairCopy, "Y", "0", 1) + await + pairOut + pairFree + strings.Replace(pairCopy, "Y", "1", 1) + second + pairOut
}

func pair(t *testing.T, code string) ([]byte, sim.Counters, error) {
	t.Helper()
	m := box(0, [3]uint64{64, 6, 5}, [3]uint32{1, 1, 1}, [3]uint32{64, 4, 4})
	return hopperGrid(t, ".explicitcluster\n.reqnctapercluster 2, 1, 1", [3]int{2, 1, 1}, code, m, elements(64*6*5), 8192)
}

// What one block copies is in the memory of both, and counts once where it is read from.
func TestMulticast(t *testing.T) {
	got, counters, err := pair(t, pairProgram())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4096 {
		half, x, y, z := i/1024%2, i%64, i/64%4+1, i/256%4
		want := uint16(((z+half)*6+y)*64 + x + 1)
		if z+half >= 5 {
			want = 0
		}
		if v := binary.LittleEndian.Uint16(got[2*i:]); v != want {
			t.Fatalf("block %d, half %d, element %d is %d, want %d", i/2048, half, i%1024, v, want)
		}
	}
	if n := counters.GlobalLoads; n.Requests != 4 || n.Bytes != 4*2048 {
		t.Errorf("%+v", n)
	}
}

// Bugs of clusters, planted.
func TestClusterBugs(t *testing.T) {
	whole := pairProgram()
	cut := func(what, by string) string {
		if !strings.Contains(whole, what) {
			t.Fatalf("no %q", what)
		}
		return strings.Replace(whole, what, by, 1)
	}
	const remote = "\t@%p7 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%t12];\n"
	early := remote + strings.Replace(pairFree, remote, "", 1)
	toSelf := "\tadd.u32 %t13, %t15, 1;\n\tshl.b32 %t10, %t13, 0;\n"
	arrive, wait := "barrier.cluster.arrive.release.aligned;", "barrier.cluster.wait.acquire.aligned;"
	relaxed := "barrier.cluster.arrive.relaxed.aligned;"
	if _, _, err := pair(t, cut(arrive, relaxed)); err != nil {
		t.Error(err)
	}
	farewell := "\t@%p7 mbarrier.arrive.shared::cluster.b64 _, [%t12];\n"
	if _, _, err := pair(t, whole+farewell+arrive+wait); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ what, code, want string }{
		{"a block expects fewer bytes", cut("mov.u32 %t9, 4096;", "mad.lo.u32 %t9, %t15, 2048, 2048;"), "to which a bulk copy is under way"},
		{"a block expects more", cut("mov.u32 %t9, 4096;", "mad.lo.u32 %t9, %t15, 2048, 4096;"), "and 2048 bytes that are not under way"},
		{"a slot is freed by its own block alone", strings.NewReplacer("[bars+8], 2", "[bars+8], 1", "@%p7 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%t12];", "").Replace(whole), "bulk copy at shared address 0x0, which a bulk copy wrote; this warp has not waited"},
		{"a slot is freed for the other block before others have read", strings.Replace(whole, pairFree, early, 1), "of the cluster read without a barrier between"},
		{"a slot is freed before the block's other warps have read", strings.Replace(whole, "\tbar.sync 0;\n\t@%p7 mbarrier.arrive.shared::cta.b64 _, [bars+8];", "\t@%p7 mbarrier.arrive.shared::cta.b64 _, [bars+8];", 1), "shared address"},
		{"nobody frees the other's slot", cut("@%p7 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%t12];", ""), "lacks 1 arrivals"},
		{"no cluster barrier before the first copy", strings.NewReplacer(arrive, "bar.sync 0;", wait, "").Replace(whole), "mbarrier at shared address 0x10080 of block"},
		{"no cluster barrier before an arrival", pairStartWithout(arrive, wait) + farewell, "mbarrier at shared address 0x10088 of block"},
		{"nobody waits at the cluster barrier", cut(wait, "bar.sync 0;"), "mbarrier at shared address 0x10080 of block"},
		{"no cluster barrier before the end", whole + farewell, "missing cluster barrier: block"},
		{"it arrives there, but does not wait", whole + farewell + arrive, "missing cluster barrier: block"},
		{"a mask of its own block", cut("mov.u32 %t10, 3;", toSelf), "2048 bytes that are not under way"},
		{"a mask of no block", cut("mov.u32 %t10, 3;", "mov.u32 %t10, 0;"), "wrong mask"},
		{"a mask of a third block", cut("mov.u32 %t10, 3;", "mov.u32 %t10, 7;"), "wrong mask"},
		{"mbarriers that copies do not know", cut("@%p7 fence.mbarrier_init.release.cluster;", ""), "missing proxy fence: a bulk copy with the mbarrier"},
		{"over what was stored", cut("\tmov.u32 %t1, 0;", "\t@%p7 st.shared.u32 [memory+8], %t0;\n\tbarrier.cluster.arrive;\n\tbarrier.cluster.wait;\n\tmov.u32 %t1, 0;"), "missing proxy fence: bulk copy at shared address 0x8"},
		{"an address of the cluster where the block's is meant", cut("[bars+8];\n\t@%p7", "[%t12];\n\t@%p7"), "out of bounds"},
		{"a block that there is not", cut("xor.b32 %t13, %t15, 1;", "add.u32 %t13, %t15, 1;"), "to block 2 of a cluster of 2"},
		{"a wait without an arrival", cut(arrive, ""), "barrier.cluster.wait without"},
		{"two arrivals", cut(arrive, arrive+arrive), "for a second time"},
		{"a warp that does not arrive", cut(arrive, "setp.eq.u32 %p2, %w, 2;\n\t@%p2 bar.sync 3, 64;\n\t"+arrive), "at the cluster's barrier"},
		{"lanes that do not arrive", cut(arrive, "and.b32 %t2, %t0, 31;\n\tsetp.eq.u32 %p2, %t2, 0;\n\t@%p2 "+arrive), "a barrier in divergent code"},
		{"a wait at another's mbarrier", cut("acquire.cluster.shared::cta.b64 %p1, [bars+8]", "acquire.cluster.shared::cluster.b64 %p1, [%t12]"), "is not known"},
		{"a state of another's mbarrier", cut("shared::cluster.b64 _, [%t12]", "shared::cluster.b64 %l0, [%t12]"), "a state of an mbarrier"},
		{"a relaxed arrival, and mbarriers without a fence", strings.NewReplacer(arrive, relaxed, "@%p7 fence.mbarrier_init.release.cluster;", "").Replace(whole), "made the mbarrier at shared address 0x10080"},
		{"a relaxed arrival before the fence", strings.NewReplacer(arrive, "", "@%p7 fence.mbarrier_init.release.cluster;", relaxed+"\n@%p7 fence.mbarrier_init.release.cluster;").Replace(whole), "made the mbarrier at shared address 0x10080"},
		{"a relaxed arrival that is to order a store", cut("\tmov.u32 %t1, 0;", "\t@%p7 st.shared.u32 [memory+8], %t0;\n\tfence.proxy.async;\n\tbarrier.cluster.arrive.relaxed;\n\tbarrier.cluster.wait;\n\tmov.u32 %t1, 0;"), "race: bulk copy at shared address 0x8"},
	} {
		if _, _, err := pair(t, c.code); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	if _, _, err := hopperGrid(t, ".reqnctapercluster 2", [3]int{3, 1, 1}, "", nil, nil, 0); err == nil || !strings.Contains(err.Error(), "no multiple of clusters") {
		t.Error(err)
	}
}

func pairStartWithout(what ...string) string {
	s := pairStart
	for _, w := range what {
		s = strings.Replace(s, w, "", 1)
	}
	return s
}

// A block that leaves early holds up nobody at the cluster's barrier.
func TestClusterExit(t *testing.T) {
	code := "\tmov.u32 %t15, %cluster_ctarank;\n\tsetp.eq.u32 %p2, %t15, 1;\n\t@%p2 exit;\n\tbarrier.cluster.arrive;\n\tbarrier.cluster.wait;"
	if _, _, err := pair(t, code); err != nil {
		t.Error(err)
	}
}

// What blocks read of their place, in clusters of 2×2×1 of a grid of 4×2×2.
func TestClusterPlaces(t *testing.T) {
	names := []string{
		"%ctaid.x", "%ctaid.y", "%ctaid.z", "%cluster_ctaid.x", "%cluster_ctaid.y", "%cluster_ctaid.z", "%cluster_ctarank", "%cluster_nctarank",
		"%clusterid.x", "%clusterid.y", "%clusterid.z", "%nclusterid.x", "%nclusterid.y", "%nclusterid.z", "%cluster_nctaid.x", "%cluster_nctaid.y",
	}
	code := "\t@!%p7 exit;\n\tmov.u32 %t1, %ctaid.x;\n\tmov.u32 %t2, %ctaid.y;\n\tmov.u32 %t3, %ctaid.z;\n\tmad.lo.u32 %t2, %t3, 2, %t2;\n\tmad.lo.u32 %t1, %t2, 4, %t1;\n" +
		"\tmul.wide.u32 %at, %t1, 64;\n\tadd.u64 %at, %out, %at;\n"
	for i, name := range names {
		code += fmt.Sprintf("\tmov.u32 %%t4, %s;\n\tst.global.u32 [%%at+%d], %%t4;\n", name, 4*i)
	}
	got, _, err := hopperGrid(t, ".reqnctapercluster 2, 2", [3]int{4, 2, 2}, code, nil, nil, 16*64)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 16 {
		x, y, z := uint32(i%4), uint32(i/4%2), uint32(i/8)
		want := []uint32{x, y, z, x % 2, y, 0, x%2 + 2*y, 4, x / 2, 0, z, 2, 1, 2, 2, 2}
		for j, w := range want {
			if v := binary.LittleEndian.Uint32(got[64*i+4*j:]); v != w {
				t.Errorf("block %d: %s is %d, want %d", i, names[j], v, w)
			}
		}
	}
}
