package sim_test

import (
	"strings"
	"testing"
)

const copyFrom = `
	mov.u32 %t1, s;
	shl.b32 %t2, %t0, 4;
	add.u32 %t1, %t1, %t2;                 // 16 bytes a lane
	sub.u64 %in, %in, %at;
	mul.wide.u32 %l0, %t2, 1;
	add.u64 %l0, %in, %l0;
`

func TestAsyncCopy(t *testing.T) {
	in := [4][32]uint32{lane(1, 100), lane(1, 132), lane(1, 164), lane(1, 196)} // word i is 100 + i
	for _, c := range []struct {
		what, code string
		want       func(lane int) [4]uint32
	}{
		{"16 bytes", `
	cp.async.cg.shared.global [%t1], [%l0], 16;
	cp.async.commit_group;
	cp.async.wait_group 0;
	ld.shared.v4.u32 {%d0, %d1, %d2, %d3}, [%t1];`,
			func(l int) [4]uint32 {
				w := uint32(100 + 4*l)
				return [4]uint32{w, w + 1, w + 2, w + 3}
			}},
		{"size 4 and 8, wait_all", `
	cp.async.ca.shared.global [%t1], [%l0+4], 4;
	cp.async.ca.shared.global [%t1+4], [%l0], 4;
	cp.async.ca.shared.global.L2::128B [%t1+8], [%l0+8], 8;
	cp.async.wait_all;
	ld.shared.v4.u32 {%d0, %d1, %d2, %d3}, [%t1];`,
			func(l int) [4]uint32 {
				w := uint32(100 + 4*l)
				return [4]uint32{w + 1, w, w + 2, w + 3}
			}},
		{"source shorter than the copy", `
	and.b32 %t3, %t0, 1;
	shl.b32 %t3, %t3, 3;                   // odd lanes read 8 bytes, even ones none, at no address
	setp.eq.u32 %p0, %t3, 0;
	selp.b64 %l0, 64, %l0, %p0;
	cp.async.cg.shared.global [%t1], [%l0], 16, %t3;
	cp.async.commit_group;
	cp.async.wait_group 0;
	ld.shared.v4.u32 {%d0, %d1, %d2, %d3}, [%t1];`,
			func(l int) [4]uint32 {
				if l%2 == 0 {
					return [4]uint32{}
				}
				w := uint32(100 + 4*l)
				return [4]uint32{w, w + 1}
			}},
		{"the older of two groups", `
	cp.async.ca.shared.global [%t1], [%l0], 8;
	cp.async.commit_group;
	cp.async.ca.shared.global [%t1+8], [%l0+8], 8;
	cp.async.commit_group;
	cp.async.wait_group 1;
	ld.shared.v2.u32 {%d0, %d1}, [%t1];
	cp.async.wait_group 0;
	ld.shared.v2.u32 {%d2, %d3}, [%t1+8];`,
			func(l int) [4]uint32 {
				w := uint32(100 + 4*l)
				return [4]uint32{w, w + 1, w + 2, w + 3}
			}},
	} {
		got := lanes(t, copyFrom+c.code, 4, in[:]...)
		for l := range 32 {
			if g, w := [4]uint32{got[0][l], got[1][l], got[2][l], got[3][l]}, c.want(l); g != w {
				t.Fatalf("%s: lane %d has %v, want %v", c.what, l, g, w)
			}
		}
	}
}

// A copy lands at the wait that asks for it and no earlier.
func TestAsyncCopyIsLate(t *testing.T) {
	in := [4][32]uint32{lane(1, 100), lane(1, 132), lane(1, 164), lane(1, 196)}
	load := "ld.shared.v4.u32 {%d0, %d1, %d2, %d3}, [%t1];"
	for _, c := range []struct{ what, code string }{
		{"no wait", "cp.async.cg.shared.global [%t1], [%l0], 16;\ncp.async.commit_group;\n" + load},
		{"a barrier is no wait", "cp.async.cg.shared.global [%t1], [%l0], 16;\ncp.async.commit_group;\nbar.sync 0;\n" + load},
		{"a wait for fewer groups", "cp.async.cg.shared.global [%t1], [%l0], 16;\ncp.async.commit_group;\ncp.async.wait_group 1;\n" + load},
		{"not committed", "cp.async.cg.shared.global [%t1], [%l0], 16;\ncp.async.wait_group 0;\n" + load},
		{"written meanwhile", "cp.async.cg.shared.global [%t1], [%l0], 16;\nst.shared.u32 [%t1], %t1;\n" + load},
	} {
		_, err := tryLanes(t, copyFrom+c.code, 4, in[:]...)
		if err == nil || !strings.Contains(err.Error(), "missing wait") || !strings.Contains(err.Error(), "thread [0 0 0]") {
			t.Errorf("%s: error %v", c.what, err)
		}
	}
}
