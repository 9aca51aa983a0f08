#!/usr/bin/env bash
# Gathers the licenses of everything that is linked into the program, GPU path,
# MPI and S3 included, into cmd/fluxion/licenses.txt, which the binary carries. With --check it
# compares instead. The texts are those of the module cache and of Go itself.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C
file=cmd/fluxion/licenses.txt
new=$(mktemp)
trap 'rm -f "$new"' EXIT

# A line for each module: its path, version and folder. Systems differ in what they link.
modules() {
  local os tags
  for os in linux darwin windows; do
    for tags in '' gpu mpi s3; do
      GOOS=$os CGO_ENABLED=$([ "$tags" = gpu ] && echo 1 || echo 0) go list -deps -tags "$tags" \
        -f '{{with .Module}}{{if not .Main}}{{with or .Replace .}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}{{end}}' ./cmd/fluxion
    done
  done | sort -u
}

# Every license or notice in a module, of vendored code and fonts too.
texts() {
  find "$1" -type f \( -iname '*licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' -o -iname 'patents*' -o -iname 'ofl*.txt' -o -ipath '*/licenses/ftl.txt' \) \
    ! -name '*.go' ! -path '*/testdata/*' | sort
}

linked=$(modules)
{
  echo "Fluxion is under the Apache License 2.0, whose text stands first. What is linked into"
  echo "it, and under which terms, follows. A text that several share is printed once."
  declare -A seen=()
  show() { # name, folder to leave out, file
    local sum
    sum=$(sha256sum <"$3" | cut -d' ' -f1)
    printf '\n==== %s: %s\n' "$1" "${3#"$2"/}"
    if [ -n "${seen[$sum]:-}" ]; then
      printf 'The same text as of %s.\n' "${seen[$sum]}"
    else
      seen[$sum]="$1: ${3#"$2"/}"
      printf '\n'
      tr -d '\r' <"$3" | sed 's/[[:space:]]*$//'
    fi
  }
  show Fluxion . ./LICENSE
  show "The Go language and its library, $(awk '$1 == "go" { print $2 }' go.mod) or newer" "$(go env GOROOT)" "$(go env GOROOT)/LICENSE"
  while read -r path version dir; do
    found=$(texts "$dir")
    if [ -z "$found" ]; then
      echo "scripts/licenses.sh: $path $version has no license" >&2
      exit 1
    fi
    while read -r text; do show "$path $version" "$dir" "$text"; done <<<"$found"
  done <<<"$linked"
} >"$new"

if [ "${1:-}" = --check ]; then
  diff -u "$file" "$new" >&2 || { echo "scripts/licenses.sh: $file is not what the modules say; run scripts/licenses.sh" >&2; exit 1; }
else
  cp "$new" "$file"
  gzip -9 -n -c "$file" >"$file.gz" # what the binary carries; go test compares
fi
