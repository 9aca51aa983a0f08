# What scripts that make a Python environment have in common; they source it.
#
#     environment NAME VARIABLE FOLDER PINS IMPORTS [PEERS]
#
# makes FOLDER, which the user may name by VARIABLE, an environment of exactly the packages in PINS, and sees that IMPORTS can
# be imported. With PEERS, the python of scripts/peers.sh, its packages are seen from there. A second time it only compares the pins.
environment() {
    local name=$1 variable=$2 folder=$3 pins=$4 imports=$5 peers=${6:-} wanted places
    mkdir -p "$(dirname "$folder")"
    exec 9>"$folder.lock" # two at once would each empty the other's
    if command -v flock >/dev/null; then flock 9; fi
    # The stamp is written last, so an interrupted run starts over.
    if ! cmp --silent "$folder/fluxion-pins.txt" <(printf '%s' "$pins$peers"); then
        # --clear below empties the folder, so it must be one of ours.
        if [[ -n $(ls -A "$folder" 2>/dev/null) && ! -f $folder/pyvenv.cfg ]]; then
            echo "$name: $folder is neither empty nor a virtual environment; set $variable to another folder" >&2
            exit 2
        fi
        echo "$name: making $folder" >&2
        "${peers:-${PYTHON:-python3}}" -m venv --clear "$folder"
        read -r -d '' -a wanted <<<"$pins" || true
        # --no-deps: the lists are complete, and nothing may be pulled in beside them.
        "$folder/bin/python" -m pip install --quiet --no-deps --no-cache-dir "${wanted[@]}" >&2
        if [[ $peers ]]; then
            places='import site; print(site.getsitepackages()[0])'
            "$peers" -c "$places" >"$("$folder/bin/python" -c "$places")/peers.pth"
        fi
        "$folder/bin/python" -c "import $imports" >&2
        printf '%s' "$pins$peers" >"$folder/fluxion-pins.txt"
    fi
    exec 9>&-
}
