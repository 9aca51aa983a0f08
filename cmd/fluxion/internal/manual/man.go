// Package manual writes what the help of commands says as pages for man and as a document.
package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands are a command and those below it that are to be seen, but for help itself.
func Commands(c *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{c}
	for _, below := range c.Commands() {
		if !below.Hidden && below.Name() != "help" {
			list = append(list, Commands(below)...)
		}
	}
	return list
}

// PageName is the name of a command's page: fluxion-data-info.
func PageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// Page is a command's page for man, section 1. exits are the exit codes as help tells them.
func Page(c *cobra.Command, exits string) string {
	var b strings.Builder
	root := c.Root().Name()
	fmt.Fprintf(&b, ".\\\" Written by %s from the help of its commands.\n", root)
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s\" \"User commands\"\n", strings.ToUpper(roff(PageName(c))), root)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(PageName(c)), roff(c.Short))
	b.WriteString(".SH SYNOPSIS\n")
	if c.Runnable() {
		fmt.Fprintf(&b, ".B %s\n", roff(c.UseLine()))
	}
	if c.HasSubCommands() {
		fmt.Fprintf(&b, ".br\n.B %s\n.I COMMAND\n", roff(c.CommandPath()))
	}
	b.WriteString(".SH DESCRIPTION\n")
	paragraphs(&b, description(c, exits))
	flags := func(title string, set *pflag.FlagSet) {
		if set.HasAvailableFlags() {
			fmt.Fprintf(&b, ".SH %s\n", title)
			set.VisitAll(func(f *pflag.Flag) { option(&b, f) })
		}
	}
	flags("OPTIONS", c.LocalFlags())
	flags("OPTIONS OF ALL COMMANDS", c.InheritedFlags())
	b.WriteString(".SH EXIT STATUS\n")
	_, codes, _ := strings.Cut(exits, "\n")
	for line := range strings.SplitSeq(codes, "\n") {
		code, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(code), roff(strings.TrimSpace(text)))
	}
	b.WriteString(".SH EXAMPLES\n.nf\n")
	for line := range strings.SplitSeq(c.Example, "\n") {
		b.WriteString(roff(strings.TrimPrefix(line, "  ")) + "\n")
	}
	b.WriteString(".fi\n")
	var also []string
	if c.HasParent() {
		also = append(also, PageName(c.Parent()))
	}
	for _, below := range c.Commands() {
		if !below.Hidden && below.Name() != "help" {
			also = append(also, PageName(below))
		}
	}
	for i, name := range also {
		also[i] = fmt.Sprintf("\\fB%s\\fR(1)", roff(name))
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(also, ",\n"))
	return b.String()
}

// description is what the help says, without the exit codes.
func description(c *cobra.Command, exits string) string {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	return strings.TrimSpace(strings.Replace(text, exits, "", 1))
}

// paragraphs writes text of the help: lines that are indented stay as they are.
func paragraphs(b *strings.Builder, text string) {
	filled := true
	for line := range strings.SplitSeq(text, "\n") {
		if indented := strings.HasPrefix(line, "  "); indented == filled && line != "" {
			b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[indented])
			filled = !indented
		}
		if line == "" {
			line = ".PP"
		} else {
			line = roff(line)
		}
		b.WriteString(line + "\n")
	}
	if !filled {
		b.WriteString(".fi\n")
	}
}

func option(b *strings.Builder, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	b.WriteString(".TP\n")
	if f.Shorthand != "" {
		fmt.Fprintf(b, "\\fB\\-%s\\fR, ", f.Shorthand)
	}
	kind, usage := pflag.UnquoteUsage(f)
	fmt.Fprintf(b, "\\fB\\-\\-%s\\fR", roff(f.Name))
	if kind != "" {
		fmt.Fprintf(b, " \\fI%s\\fR", roff(kind))
	}
	fmt.Fprintf(b, "\n%s\n", roff(usage+defaultText(f)))
}

// defaultText is the default as help shows it, where there is one.
func defaultText(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "0", "false", "[]", "<nil>":
		return ""
	}
	return " (default " + f.DefValue + ")"
}

// roff is text as troff reads it.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
