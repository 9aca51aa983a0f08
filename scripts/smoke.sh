#!/usr/bin/env bash
# Uses the binary as its users do, on the CPU, in a minute: trains a few steps,
# is interrupted, resumes, samples, and counts the pictures.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "smoke: $*" >&2; exit 1; }
go build -o "$work/fluxion" ./cmd/fluxion
fluxion=$work/fluxion
export FLUXION_BLOCKINGS=$work/cache
train=("$fluxion" train --preset micro --images 480 --batch 16 --sample-count 10 --sample-steps 4 --checkpoint-every 160)

"${train[@]}" --out "$work/whole" --json >"$work/whole.jsonl"
grep -q '"event":"done"' "$work/whole.jsonl" || fail "no done event"

# Killed twice in the middle, the same command ends with the same bits.
for signal in KILL INT; do
  "${train[@]}" --out "$work/cut" --json >"$work/cut.jsonl" &
  pid=$!
  until grep -q '"event":"checkpoint"' "$work/cut.jsonl" || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
  kill -$signal $pid 2>/dev/null || true
  wait $pid || true
done
"${train[@]}" --out "$work/cut" --json >"$work/cut.jsonl"
for file in unet/diffusion_pytorch_model.safetensors unet_ema/diffusion_pytorch_model.safetensors training/optimizer.safetensors; do
  cmp "$work/whole/checkpoints/480/$file" "$work/cut/checkpoints/480/$file" || fail "a resumed run ended with other bits"
done

# It measured how its launches are best cut. Without that, with what cannot be read, and where nothing can be written, it ends with the same bits.
table=$(ls "$work"/cache/blockings-*.json) || fail "no table of blockings"
"$fluxion" doctor | grep -q "launches measured.*$table" || fail "doctor does not know the table of blockings"
FLUXION_BLOCKINGS=off "${train[@]}" --out "$work/off" --json >"$work/off.jsonl"
echo garbage >"$table"
"${train[@]}" --out "$work/garbage" --json >"$work/garbage.jsonl" 2>"$work/notes"
[ "$(wc -l <"$work/notes")" = 1 ] && grep -q "note: $table" "$work/notes" && grep -q '"launches"' "$table" || fail "a broken table of blockings: $(cat "$work/notes")"
"${train[@]}" --out "$work/nowhere-to-write" --blockings "$table/folder" --json >"$work/nowhere.jsonl" 2>"$work/notes"
grep -q 'note: .*not kept' "$work/notes" || fail "a folder that cannot be made: $(cat "$work/notes")"
for run in off garbage nowhere-to-write; do
  cmp "$work/whole/checkpoints/480/training/optimizer.safetensors" "$work/$run/checkpoints/480/training/optimizer.safetensors" || fail "a run with blockings $run ended with other bits"
done

# All but one core taken away while it runs: slower, the same bits. Without vector instructions it works, too.
"${train[@]}" --out "$work/less" --json >"$work/less.jsonl" &
pid=$!
until grep -q '"event":"checkpoint"' "$work/less.jsonl" || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
taskset -acp "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')" $pid >/dev/null || fail "it ended before its cores were taken away"
wait $pid
for file in unet/diffusion_pytorch_model.safetensors training/optimizer.safetensors; do
  cmp "$work/whole/checkpoints/480/$file" "$work/less/checkpoints/480/$file" || fail "a run that lost a core ended with other bits"
done
for precision in fp32 bf16; do
  FLUXION_CPU=portable "$fluxion" train --preset micro --size 16 --images 16 --batch 4 --precision $precision --sample-count 2 --sample-steps 2 --json --out "$work/portable-$precision" |
    grep -q '"event":"done"' || fail "training in $precision without vector instructions"
done

"${train[@]}" --out "$work/whole" --json | grep -q '"already":true' || fail "a finished run did not say so"

"$fluxion" sample --model "$work/whole" --out "$work/pictures" --seeds 0-11 --steps 3 --batch 5
rm "$work/pictures/000003.png"
"$fluxion" sample --model "$work/whole" --out "$work/pictures" --seeds 0-15 --steps 3 --batch 16
count=$(ls "$work/pictures" | grep -c '^[0-9]\{6\}\.png$')
[ "$count" = 16 ] || fail "$count pictures, want 16"
"$fluxion" sample --model "$work/whole" --out "$work/again" --seeds 0-15 --steps 3 --batch 7 --threads 1
for i in "$work"/pictures/*.png; do cmp "$i" "$work/again/$(basename "$i")" || fail "a picture depends on its batch"; done

"$fluxion" sample --model "$work/whole" --out "$work/painted" --seeds 0-3 --steps 4 --init "$work/pictures/000003.png" --mask "$work/pictures/000005.png" --strength 0.75 --sampler heun --guidance 2 --guidance-rescale 0.5
[ -f "$work/painted/000003.png" ] || fail "no picture from a picture"

status=0; "$fluxion" train --data "$work/nowhere" 2>"$work/error" || status=$?
[ $status = 3 ] && [ "$(wc -l <"$work/error")" = 1 ] || fail "missing data: status $status: $(cat "$work/error")"
status=0; "$fluxion" train -s imagess=3 2>"$work/error" || status=$?
[ $status = 2 ] && grep -q images "$work/error" || fail "unknown key: status $status: $(cat "$work/error")"
"$fluxion" bench train --preset micro --batch 4 --steps 3 --json | grep -q images_per_second || fail "bench"
"$fluxion" bench ops --preset micro --batch 4 --steps 1 --json | grep -q '"operator":"adamw"' || fail "bench ops"
"$fluxion" bench kernels --preset micro --batch 2 --blocks 2 --json | grep -q '"function":"adamw_update"' || fail "bench kernels"
"$fluxion" inspect --preset cifar --batch 16 >/dev/null || fail "inspect"
echo "smoke: all well"
