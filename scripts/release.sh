#!/usr/bin/env bash
# Builds what a release consists of, for the CPU: a static binary for each system, in an
# archive with the terms of all that is linked, a bill of materials (CycloneDX), and the
# checksums of the archives. The same commit gives the same bytes.
#
#     scripts/release.sh VERSION [FOLDER]   into FOLDER, which must be empty (default dist)
#     scripts/release.sh --check            what .ci/run holds: the binary of this system is built
#                                           in two folders, and has the same bytes;
#                                           it says what it is, and is not larger than it may be
#
# Binaries run where that is possible: those of arm64 under qemu-aarch64-static, those of
# Windows under wine. Where it is not, go vet looks at the system's code, tests included,
# and it is said. scripts/build-gpu.sh builds the binary for GPUs.
set -euo pipefail
cd "$(dirname "$0")/.."
usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 2; }
fail() { echo "release: $*" >&2; exit 1; }

largest=25000000 # bytes of the binary for linux/amd64, which scripts/sizes explains; others have a few in a hundred more or less
targets='linux/amd64 linux/arm64 darwin/arm64 windows/amd64'
bom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# What a user's settings would change in the bytes.
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT= GOWORK=off
commit=$(git rev-parse HEAD)
made=$(git log -1 --format=%ct)
temporary=$(mktemp -d)
trap 'chmod -R u+w "$temporary" && rm -rf "$temporary"' EXIT

# HTTP/2, of which the page of a run, on one machine and without TLS, has no use, is 350 kB.
# Nothing of these libraries runs in a loop over pixels or weights: without inlining they are 440 kB smaller, and so are
# the parts of ours that make a plan, read settings and speak, or wait for a network, by 520 kB.
# Functions of Go begin at multiples of 16 instead of 32, which is 220 kB; loops of assembly are aligned by themselves.
flags=(-trimpath -tags nethttpomithttp2)
for library in net crypto vendor github.com golang.org gonum.org go.yaml.in \
  fluxion/cmd fluxion/nets fluxion/data/{durable,lookup,setting} fluxion/engine/{collective,device/model,figures,formula,generate,likelihood,model,monitor,objective,plan,process,record,rundir,sampler,scheduler,trace}; do flags+=("-gcflags=$library/...=-l"); done
flags+=(-gcflags=fluxion/nets/safetensors=) # converts numbers

# build FOLDER SYSTEM/PROCESSOR VERSION OUTPUT
build() {
  (cd "$1" && GOOS=${2%/*} GOARCH=${2#*/} go build "${flags[@]}" -ldflags="-s -w -buildid= -funcalign=16 -X main.release=$3 -X main.commit=$commit" -o "$4" ./cmd/fluxion)
  local size
  size=$(stat -c %s "$4")
  [ "$2" != linux/amd64 ] || [ "$size" -le $largest ] || fail "the binary for $2 has $size bytes; it may have $largest"
}

# says VERSION COMMAND…: the program runs, and says what it is.
says() {
  local said
  said=$("${@:2}" --version | tr -d '\r')
  [ "$said" = "fluxion version $1 (${commit:0:12})" ] || fail "${*:2} --version says $said"
  "${@:2}" licenses | tr -d '\r' | cmp - cmd/fluxion/licenses.txt
}

# works COMMAND…: the program trains a model and samples from it.
works() {
  local folder=$temporary/works
  rm -rf "$folder" && mkdir "$folder"
  (
    cd "$folder"
    export FLUXION_BLOCKINGS=off
    "$@" train --preset micro --size 8 --batch 4 --images 8 --sample-count 0 --out run && "$@" sample --model run --out pictures --count 2 --steps 2 && [ -s pictures/000001.png ]
  ) >"$folder.log" 2>&1 || { cat "$folder.log" >&2; fail "$* does not train and sample"; }
}

if [ "${1:-}" = --check ]; then
  [ $# = 1 ] || usage
  here=$(go env GOOS)/$(go env GOARCH)
  build . "$here" v0.0.0 "$temporary/one"
  mkdir -p "$temporary/another/folder"
  git ls-files -z | xargs -0 cp --parents -t "$temporary/another/folder"
  build "$temporary/another/folder" "$here" v0.0.0 "$temporary/two"
  cmp "$temporary/one" "$temporary/two" || fail "built in another folder, the binary has other bytes"
  says v0.0.0 "$temporary/one"
  echo "release: the same $(stat -c %s "$temporary/one") bytes twice"
  exit
fi

{ [ $# = 1 ] || [ $# = 2 ]; } && [[ $1 != -* ]] || usage
version=$1
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "version $version: want one like v1.2.3 or v1.2.3-rc.1"
[ -z "$(git status --porcelain)" ] || fail "there are changes that no commit holds"
mkdir -p "${2:-dist}"
out=$(realpath "${2:-dist}")
[ -z "$(ls -A "$out")" ] || fail "$out is not empty"

GOBIN=$temporary/bin go install -trimpath "$bom"
for target in $targets; do
  name=fluxion-$version-${target/\//-}
  folder=$temporary/$name
  binary=$folder/fluxion
  [ "${target%/*}" != windows ] || binary=$binary.exe
  mkdir "$folder"
  build . "$target" "$version" "$binary"
  cp LICENSE README.md cmd/fluxion/licenses.txt "$folder"
  "$temporary/bin/cyclonedx-gomod" bin -json -noserial -notimestamp -version "$version" -output "$folder/sbom.cdx.json" "$binary" 2>"$temporary/log" || { cat "$temporary/log" >&2; exit 1; }
  emulator=
  case $target in
  linux/arm64) emulator=qemu-aarch64-static ;;
  windows/amd64) emulator=wine ;;
  esac
  if [ "$target" = "$(go env GOHOSTOS)/$(go env GOHOSTARCH)" ]; then
    says "$version" "$binary" && works "$binary"
    echo "$name: runs"
  elif [ -n "$emulator" ] && command -v $emulator >/dev/null; then
    says "$version" $emulator "$binary" && works $emulator "$binary"
    echo "$name: runs under $emulator"
  else
    GOOS=${target%/*} GOARCH=${target#*/} go vet ./...
    echo "$name: did not run here${emulator:+, for there is no $emulator}; go vet finds nothing"
  fi
  archive=$out/$name.tar.gz
  [ "${target%/*}" != windows ] || archive=$out/$name.zip
  go run ./scripts/archive "$archive" "$folder" "$made"
  cp "$folder/sbom.cdx.json" "$out/$name.cdx.json"
done
(cd "$out" && sha256sum -- * >"$temporary/SHA256SUMS" && mv "$temporary/SHA256SUMS" .)
ls -l "$out"
