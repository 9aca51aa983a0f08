package main

import (
	"runtime/debug"
	"testing"
)

// TestBuildOf: what the linker was told is believed first, then what Go noted.
func TestBuildOf(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef01234567"
	noted := func(version string, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: hash}, {Key: "vcs.modified", Value: modified}}}
	}
	for _, c := range []struct {
		release, commit string
		info            *debug.BuildInfo
		want            string
	}{
		{"v1.2.0", hash, nil, "v1.2.0 (0123456789ab)"},
		{"v1.2.0", "fedcba", noted("v1.1.0", "true"), "v1.2.0 (fedcba)"},
		{"", "", noted("(devel)", "false"), "0123456789ab"},
		{"", "", noted("(devel)", "true"), "0123456789ab+changes"},
		{"", "", noted("v1.1.0", "false"), "v1.1.0 (0123456789ab)"},
		{"", "", &debug.BuildInfo{}, "devel"},
		{"", "", nil, "devel"},
	} {
		if got := buildOf(c.release, c.commit, c.info).String(); got != c.want {
			t.Errorf("release %q, commit %q, info %v: %s, want %s", c.release, c.commit, c.info, got, c.want)
		}
	}
}
