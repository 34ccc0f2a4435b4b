#!/usr/bin/env bash
# The web sample published with libtorch, without, and without but compiled ahead: sizes, and the time from the beginning of a process to its first answer, in turn, by the clock and of the processor, which other work on the machine changes less. Linux; curl.
#   build/measure-web-start.sh model.zip image.jpg [starts]
# The model must have CLIP's image tower in it, as dpl fit writes it. Times are ratios within one run.
set -euo pipefail
[[ $# -ge 2 ]] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$(realpath "$1") image=$(realpath "$2") starts=${3:-5}
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2> "$work/killed" || true; rm -rf "$work"' EXIT
port=$((20000 + $$ % 20000))

publish() { # name, then properties
  dotnet publish samples/WebApp -c Release -r linux-x64 --no-self-contained -v quiet -o "$work/$1" "${@:2}"
}
publish light -p:LibTorch=none
publish ahead -p:LibTorch=none -p:PublishReadyToRun=true
publish libtorch
for kind in libtorch light ahead; do echo "$kind: $(du -sm --apparent-size "$work/$kind" | cut -f1) MB published"; done

now() { date +%s%3N; }
answer() { # milliseconds to the first answer of a published folder, those of the processor (all threads), and MB in memory then
  local began
  began=$(now)
  "$work/$1/WebApp" --model "$model" --urls "http://127.0.0.1:$port" > "$work/log" 2>&1 &
  server=$!
  until curl -sf --data-binary "@$image" "http://127.0.0.1:$port/predict" -o "$work/answer"; do
    kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
    sleep 0.01
  done
  echo "$(($(now) - began)) $(awk -v tick="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / tick) }' "/proc/$server/stat") $(($(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$server/status") / 1024))" >> "$work/$1.times"
  kill "$server"
  wait "$server" || true
  server=
}
for kind in libtorch light ahead; do answer "$kind"; rm "$work/$kind.times"; done # the files are in the system's cache now
for ((i = 0; i < starts; i++)); do for kind in libtorch light ahead; do answer "$kind"; done; done
for kind in libtorch light ahead; do
  sort -n "$work/$kind.times" | awk -v kind="$kind" '{ time[NR] = $1; processor[NR] = $2; memory[NR] = $3 }
    END { printf "%s: first answer after %d to %d ms, median %d, of %d starts; at the median %d ms of the processor, %d MB in memory\n", kind, time[1], time[NR], time[int((NR + 1) / 2)], NR, processor[int((NR + 1) / 2)], memory[int((NR + 1) / 2)] }'
done
