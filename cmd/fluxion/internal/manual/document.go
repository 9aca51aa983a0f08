package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Document is a reference of all commands, as Markdown. Flags that are settings are named
// there and told of in another document, by a heading for each command.
func Document(root *cobra.Command, exits, settings string, isSetting func(*pflag.Flag) bool) string {
	var b strings.Builder
	for _, c := range Commands(root) {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n", c.CommandPath(), c.Short)
		fmt.Fprintf(&b, "```\n%s\n```\n", c.UseLine())
		if text := description(c, exits); text != c.Short {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", text)
		}
		var named []string
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if isSetting(f) {
				named = append(named, "`--"+f.Name+"`")
			}
		})
		if named != nil {
			anchor := strings.ReplaceAll(c.CommandPath(), " ", "-")
			fmt.Fprintf(&b, "\n[Settings](%s#%s): %s.\n", settings, anchor, strings.Join(named, ", "))
		}
		var rows strings.Builder
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || isSetting(f) {
				return
			}
			name := "`--" + f.Name + "`"
			if f.Shorthand != "" {
				name = "`-" + f.Shorthand + "`, " + name
			}
			kind, usage := pflag.UnquoteUsage(f)
			if kind != "" {
				name += " " + kind
			}
			fmt.Fprintf(&rows, "| %s | %s |\n", name, strings.ReplaceAll(usage+defaultText(f), "|", `\|`))
		})
		if rows.Len() > 0 {
			fmt.Fprintf(&b, "\n| flag | |\n|---|---|\n%s", rows.String())
		}
		fmt.Fprintf(&b, "\nFor example:\n\n```\n%s\n```\n", unindented(c.Example))
	}
	return b.String()
}

func unindented(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.TrimPrefix(line, "  "))
	}
	return strings.Join(lines, "\n")
}
