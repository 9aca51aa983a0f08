package console

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// ShellWords is a command as this system's shell reads it.
func ShellWords(words ...string) string { return shellWords(runtime.GOOS == "windows", words) }

// Windows knows double quotes only, and a path's \ is no sign of its shells.
func shellWords(windows bool, words []string) string {
	special, quote, inside := " \t\n\"'\\$*?[]{}()<>|&;!#~`", "'", `'\''`
	if windows {
		special, quote, inside = " \t\n\"'$*?[]{}()<>|&;!#~`%^,=@", `"`, `\"`
	}
	words = slices.Clone(words)
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, special) {
			words[i] = quote + strings.ReplaceAll(w, quote, inside) + quote
		}
	}
	return strings.Join(words, " ")
}

// ProgramName is how this program was called; "fluxion" where go run or go test
// made it for one run.
func ProgramName() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "fluxion"
	}
	return os.Args[0]
}

// Abridged joins at most n names.
func Abridged(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// Thousands writes 1234567 as 1,234,567.
func Thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Size writes bytes in binary units.
func Size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	x, i := float64(n), 0
	for ; x >= 1024 && i < len(units)-1; i++ {
		x /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", x, units[i])
}

// Visible writes what does not print as Go does, \n or \x1b: names of files and
// classes are others' and must not move the cursor or break a line.
func Visible(text string) string {
	if strings.IndexFunc(text, unicode.IsControl) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
