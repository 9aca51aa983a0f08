#!/usr/bin/env bash
# Asks bash, zsh and fish themselves what they complete, by the scripts that `fluxion completion` prints: each shell that is here
# must offer the same as the others. It says which shell is missing, and fails if none is there or one offers something else.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/bin/fluxion" ./cmd/fluxion
export PATH=$work/bin:$PATH HOME=$work TERM=dumb
cd "$work"
fluxion train --size 8 --preset micro --batch 4 --images 8 --sample-count 0 --out runs/digits -q
for shell in bash zsh fish; do fluxion completion $shell >"fluxion.$shell"; done

# bash calls the function of the command with the words, and fills COMPREPLY.
cat >ask.bash <<'END'
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
source ./fluxion.bash
COMP_WORDS=($1) COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
__start_fluxion
printf '%s\n' "${COMPREPLY[@]}"
END

# zsh completes in its editor alone: one on a terminal of its own is sent the line and ^D, which lists.
cat >ask.zsh <<'END'
zmodload zsh/zpty
zpty shell zsh -f -i
await() { local text=; repeat 400; do zpty -rt shell text && { seen+=$text; [[ $seen == *$1* ]] && return; } || sleep 0.05; done; return 1; }
seen=; zpty -w shell 'PS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -d ./dump; source ./fluxion.zsh; compdef _fluxion fluxion; LISTMAX=1000; print rea"dy"'
await ready || exit 1
seen=; zpty -wn shell "$1"$'\C-D'
sleep 0.2
zpty -wn shell $'\C-U'"print do\"ne\""$'\n'
await done
zpty -d shell
print -r -- ${seen%done*} | tr -s ' \t\r' '\n' | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g'
END

# fish has a command for it.
echo 'source ./fluxion.fish; complete -C "$argv[1]" | cut -f1' >ask.fish

checked=0 failed=0
for shell in bash zsh fish; do
    if ! command -v $shell >/dev/null; then
        echo "$shell is not here: its completion is not checked"
        continue
    fi
    while IFS='|' read -r line wants; do
        offered=$($shell "ask.$shell" "$line" 2>&1 | sed 's/ *$//')
        for want in $wants; do
            if ! grep -qxF -- "$want" <<<"$offered"; then
                echo "$shell: after \"$line\" there is no $want, but: $(tr '\n' ' ' <<<"$offered")"
                failed=1
            fi
        done
    done <<'END'
fluxion |train sample runs
fluxion train --recipe |ddpm-cifar10 edm-cifar10 small-data
fluxion train --labels n|none numbers
fluxion train --preset |cifar runs/digits
fluxion sample --part |auto 1/2
fluxion sample |runs/digits
fluxion config schema bench |train
END
    checked=$((checked + 1))
    echo "$shell $($shell --version | grep -o '[0-9][0-9.]*' | head -1): asked"
done
if [[ $checked == 0 || $failed == 1 ]]; then exit 1; fi
