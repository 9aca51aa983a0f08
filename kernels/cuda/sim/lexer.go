package sim

import (
	"fmt"
	"strings"
)

// token is a word of PTX. Identifiers keep their leading % or $ or dot; numbers are words too.
type token struct {
	text string
	line int
}

func trim(s string) string { return strings.TrimSpace(s) }

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c == '%' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// lex splits PTX into words and punctuation. An opcode with its modifiers
// (`add.s32`, `barrier.cta::arrive`) and a special register (`%tid.x`) are one
// word each; directives (`.reg.b32`) are split at every dot.
func lex(text string) ([]token, error) {
	tokens := make([]token, 0, len(text)/4)
	line := 1
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(text[i:], "//"):
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return nil, fmt.Errorf("line %d: comment without an end", line)
			}
			line += strings.Count(text[i:i+2+end], "\n")
			i += end + 4
		case c == '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				return nil, fmt.Errorf("line %d: string without an end", line)
			}
			tokens = append(tokens, token{text[i : i+end+2], line})
			i += end + 2
		case wordByte(c):
			j := i + 1
			for j < len(text) && (wordByte(text[j]) && (c != '.' || text[j] != '.') || strings.HasPrefix(text[j:], "::")) {
				if text[j] == ':' {
					j++
				}
				j++
			}
			tokens = append(tokens, token{text[i:j], line})
			i = j
		case strings.IndexByte("{}()[]<>,;:=+-@!|", c) >= 0:
			tokens = append(tokens, token{text[i : i+1], line})
			i++
		default:
			return nil, fmt.Errorf("line %d: unexpected character %q", line, c)
		}
	}
	return tokens, nil
}
