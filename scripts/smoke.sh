#!/usr/bin/env bash
# Uses the binary as its users do, on the CPU, in a minute: trains a few steps,
# is interrupted, resumes, samples, and counts the pictures.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
shell=$BASHPID
trap '[ $BASHPID != $shell ] || rm -rf "$work"' EXIT # a fork that a signal meets before its exec has no part in this
fail() { echo "smoke: $*" >&2; exit 1; }
go build -o "$work/fluxion" ./cmd/fluxion
fluxion=$work/fluxion
export FLUXION_BLOCKINGS=$work/cache
train=("$fluxion" train --preset micro --images 480 --batch 16 --sample-count 10 --sample-steps 4 --checkpoint-every 96)

# says PATTERN COMMAND...: the command ends well and prints the pattern. All is read: grep -q alone would end the command, too.
says() { "${@:2}" >"$work/said" && grep -q -- "$1" "$work/said"; }
# Whoever started this may ignore signals, as nohup does; the program must not inherit that here.
default=()
if env --default-signal=HUP true 2>/dev/null; then default=(env --default-signal=HUP); fi
# begin RUN: trains in the background until the first checkpoint of that process, if it has one.
begin() {
  rm -f "$work/$1.jsonl" # what an earlier process has said is not said by this one
  "${default[@]}" "${train[@]}" --out "$work/$1" --json >"$work/$1.jsonl" &
  pid=$!
  until grep -qs '"event":"checkpoint"' "$work/$1.jsonl" || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
}

"${train[@]}" --out "$work/whole" --json >"$work/whole.jsonl"
grep -q '"event":"done"' "$work/whole.jsonl" || fail "no done event"

# Killed three times in the middle, the same command ends with the same bits. A run that was faster than its signal begins again.
for signal in KILL INT HUP; do
  for try in {1..20}; do
    begin cut
    kill -$signal $pid 2>/dev/null || true
    status=0; wait $pid || status=$?
    [ $status = 0 ] || break
    rm -r "$work/cut"
  done
  [ $status = $((128 + $(kill -l $signal))) ] || fail "SIG$signal: status $status in try $try"
done
"${train[@]}" --out "$work/cut" --json >"$work/cut.jsonl"
for file in unet/diffusion_pytorch_model.safetensors unet_ema/diffusion_pytorch_model.safetensors training/optimizer.safetensors; do
  cmp "$work/whole/checkpoints/480/$file" "$work/cut/checkpoints/480/$file" || fail "a resumed run ended with other bits"
done

# It measured how its launches are best cut. Without that, with what cannot be read, and where nothing can be written, it ends with the same bits.
table=$(ls "$work"/cache/blockings-*.json) || fail "no table of tile sizes"
says "launches measured.*$table" "$fluxion" doctor || fail "doctor does not know the table of tile sizes"
FLUXION_BLOCKINGS=off "${train[@]}" --out "$work/off" --json >"$work/off.jsonl"
echo garbage >"$table"
"${train[@]}" --out "$work/garbage" --json >"$work/garbage.jsonl" 2>"$work/notes"
[ "$(wc -l <"$work/notes")" = 1 ] && grep -q "\"event\":\"note\".*$table" "$work/notes" && grep -q '"launches"' "$table" || fail "a broken table of tile sizes: $(cat "$work/notes")"
"${train[@]}" --out "$work/nowhere-to-write" --blockings "$table/folder" --json >"$work/nowhere.jsonl" 2>"$work/notes"
grep -q '"event":"note".*not kept' "$work/notes" || fail "a folder that cannot be made: $(cat "$work/notes")"
for run in off garbage nowhere-to-write; do
  cmp "$work/whole/checkpoints/480/training/optimizer.safetensors" "$work/$run/checkpoints/480/training/optimizer.safetensors" || fail "a run with tile sizes $run ended with other bits"
done

# All but one core taken away while it runs: slower, the same bits. Without vector instructions it works, too.
for try in {1..20}; do
  begin less
  taken=yes; taskset -acp "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')" $pid >/dev/null 2>&1 || taken=no
  wait $pid
  [ $taken = no ] || break
  rm -r "$work/less"
done
[ $taken = yes ] || fail "it ended before its cores were taken away, $try times"
for file in unet/diffusion_pytorch_model.safetensors training/optimizer.safetensors; do
  cmp "$work/whole/checkpoints/480/$file" "$work/less/checkpoints/480/$file" || fail "a run that lost a core ended with other bits"
done
for precision in fp32 bf16; do
  FLUXION_CPU=portable says '"event":"done"' "$fluxion" train --preset micro --size 16 --images 16 --batch 4 --precision $precision --sample-count 2 --sample-steps 2 --json --out "$work/portable-$precision" || fail "training in $precision without vector instructions"
done

says '"already":true' "${train[@]}" --out "$work/whole" --json || fail "a finished run did not say so"

"$fluxion" sample --model "$work/whole" --out "$work/pictures" --seeds 0-11 --steps 3 --batch 5
rm "$work/pictures/000003.png"
"$fluxion" sample --model "$work/whole" --out "$work/pictures" --seeds 0-15 --steps 3 --batch 16
count=$(ls "$work/pictures" | grep -c '^[0-9]\{6\}\.png$')
[ "$count" = 16 ] || fail "$count pictures, want 16"
"$fluxion" sample --model "$work/whole" --out "$work/again" --seeds 0-15 --steps 3 --batch 7 --threads 1
for i in "$work"/pictures/*.png; do cmp "$i" "$work/again/$(basename "$i")" || fail "a picture depends on its batch"; done

"$fluxion" sample --model "$work/whole" --out "$work/painted" --seeds 0-3 --steps 4 --init "$work/pictures/000003.png" --mask "$work/pictures/000005.png" --strength 0.75 --sampler heun --guidance 2 --guidance-rescale 0.5
[ -f "$work/painted/000003.png" ] || fail "no picture from a picture"

says 'fd .*glyph features' "$fluxion" eval "$work/pictures" glyphs --real-count 100 --network glyph --metrics fd,prdc || fail "eval"
for i in 1 2; do "$fluxion" eval "$work/pictures" --network glyph --part $i/2 --save "$work/part$i.npz" >/dev/null; done
says '16 images of 2 parts' "$fluxion" eval "$work"/part*.npz glyphs --real-count 100 || fail "eval of parts"
sweep=("$fluxion" sweep "$work/whole" glyphs --real-count 100 --network glyph --samplers euler,heun --steps 2,3 --count 8 --out "$work/sweep")
"${sweep[@]}" >/dev/null
says '0 cells made' "${sweep[@]}" && [ -s "$work/sweep/fd.svg" ] && [ "$(wc -l <"$work/sweep/sweep.csv")" = 5 ] || fail "sweep"
cp "$work/pictures/000003.png" "$work/pictures/000099.png"
says "000099.png" "$fluxion" data duplicates "$work/pictures" --correlation 0.999 || fail "data duplicates"

status=0; "$fluxion" train --data "$work/nowhere" 2>"$work/error" || status=$?
[ $status = 3 ] && [ "$(wc -l <"$work/error")" = 1 ] || fail "missing data: status $status: $(cat "$work/error")"
status=0; "$fluxion" train -s imagess=3 2>"$work/error" || status=$?
[ $status = 2 ] && grep -q images "$work/error" || fail "unknown key: status $status: $(cat "$work/error")"
says images_per_second "$fluxion" bench train --preset micro --batch 4 --steps 3 --json || fail "bench"
says '"operator":"adamw"' "$fluxion" bench ops --preset micro --batch 4 --steps 1 --json || fail "bench ops"
says '"function":"adamw_update"' "$fluxion" bench kernels --preset micro --batch 2 --blocks 2 --json || fail "bench kernels"
"$fluxion" inspect --preset cifar --batch 16 >/dev/null || fail "inspect"
echo "smoke: all well"
