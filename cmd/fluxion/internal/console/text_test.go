package console

import "testing"

// TestVisible: a name moves no cursor and breaks no line.
func TestVisible(t *testing.T) {
	for text, want := range map[string]string{"cat\nx": `cat\nx`, "\x1b[2Jdög 猫": `\x1b[2Jdög 猫`, "a\x00\r'\"\\": `a\x00\r'"\`, "": ""} {
		if got := Visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// TestShellWordsOfWindows: its shells know no single quotes.
func TestShellWordsOfWindows(t *testing.T) {
	if got, want := shellWords(true, []string{`C:\fluxion.exe`, "", `my runs\a`, "it's"}), `C:\fluxion.exe "" "my runs\a" "it's"`; got != want {
		t.Errorf("the words are %s, want %s", got, want)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
