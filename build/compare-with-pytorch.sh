#!/usr/bin/env bash
# Takes the authors' algorithm in PyTorch and our steps in turn, on the same machine, shape, device and precision, and prints rows for docs/PERFORMANCE.md and JSON.
#   build/compare-with-pytorch.sh --shape vit-b-16 --classes 20 --rounds 2 --repeats 1                 on the CPU
#   build/compare-with-pytorch.sh --shape vit-b-16 --classes 100 --device cuda --precision BFloat16    --help lists the rest
# DPL_PYTHON is the python3 that has torch, where the first in PATH has not. Ours run on PyTorch's own libtorch where it is of the version that TorchSharp asks for, 2.10, or
# DPL_ANY_LIBTORCH=1 says to try another, or on the one that DPL_LIBTORCH names; else on the package's, which has no CUDA.
#
# On a machine without .NET or packages, beside python3 with torch (and for --device cuda the driver), bring these and set DPL_BENCHMARKS=artifacts/benchmarks:
#   build/compare-with-pytorch.sh and test/Microsoft.ML.Dpl.Benchmarks/pytorch, at these paths;
#   artifacts/benchmarks, which holds .NET but no libtorch: dotnet publish test/Microsoft.ML.Dpl.Benchmarks -c Release -r linux-x64 --self-contained -p:LibTorch=none -o artifacts/benchmarks
#     (its plots/ can stay behind; the rest is 52 MiB as tar.xz);
#   where PyTorch is not 2.10, a folder of libtorch 2.10, for DPL_LIBTORCH;
#   GOLDEN, a copy of test/golden unpacked as its README says, to begin with: python3 test/Microsoft.ML.Dpl.Benchmarks/pytorch/authors_dpl.py --check GOLDEN --device cuda
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
project=test/Microsoft.ML.Dpl.Benchmarks
python=${DPL_PYTHON:-python3}
stop() { echo "$1" >&2; exit 2; }

found=$("$python" -c 'import os, torch; print(torch.__version__, os.path.join(os.path.dirname(torch.__file__), "lib"))' 2>/dev/null || true)
if [ -z "$found" ]; then stop "'$python' has no PyTorch: install it (Debian: python3-torch) or set DPL_PYTHON to a python3 that has it."; fi
version=${found%% *}
if [ -z "${DPL_LIBTORCH:-}" ]; then
  case $version in
    2.10.*) DPL_LIBTORCH=${found#* } ;;
    *) if [ "${DPL_ANY_LIBTORCH:-}" = 1 ]; then DPL_LIBTORCH=${found#* }; fi ;;
  esac
fi

on_gpu=false help=false last=
for argument in "$@"; do
  case $argument in --help | -h) help=true ;; --device=cuda*) on_gpu=true ;; cuda*) if [ "$last" = --device ]; then on_gpu=true; fi ;; esac
  last=$argument
done
if [ -n "${DPL_LIBTORCH:-}" ]; then
  export DPL_LIBTORCH
  libtorch="the libtorch in $DPL_LIBTORCH"
elif $on_gpu && ! $help; then
  stop "PyTorch here is $version and TorchSharp asks for libtorch 2.10, so ours have no CUDA: set DPL_LIBTORCH to the folder of libtorch 2.10 with CUDA, or DPL_ANY_LIBTORCH=1 to try PyTorch's."
else
  libtorch="the package's libtorch (PyTorch's $version is not the 2.10 that TorchSharp asks for)"
fi

if $help; then
  ours=(none)
elif [ -n "${DPL_BENCHMARKS:-}" ]; then
  ours=("$DPL_BENCHMARKS/Microsoft.ML.Dpl.Benchmarks")
  if [ ! -x "${ours[0]}" ]; then stop "DPL_BENCHMARKS is '$DPL_BENCHMARKS', but there is no program Microsoft.ML.Dpl.Benchmarks: see the head of this script."; fi
  if [ -z "${DPL_LIBTORCH:-}" ] && [ -z "$(find "$DPL_BENCHMARKS" -name libtorch_cpu.so -print -quit)" ]; then stop "There is no libtorch in '$DPL_BENCHMARKS' and PyTorch's $version is not the 2.10 that TorchSharp asks for: set DPL_LIBTORCH to the folder of one, or DPL_ANY_LIBTORCH=1 to try PyTorch's."; fi
elif ! command -v dotnet >/dev/null; then
  stop "There is no .NET here: publish the benchmark elsewhere, bring it along and set DPL_BENCHMARKS to its folder (see the head of this script)."
elif [ -n "${DPL_LIBTORCH:-}" ]; then
  dotnet publish "$project" -c Release -p:LibTorch=none -o artifacts/benchmarks-without-libtorch >&2
  ours=(dotnet artifacts/benchmarks-without-libtorch/Microsoft.ML.Dpl.Benchmarks.dll)
else
  dotnet build "$project" -c Release >&2
  ours=(dotnet "$project/bin/Release/net10.0/Microsoft.ML.Dpl.Benchmarks.dll")
fi
exec "$python" "$project/pytorch/compare.py" --libtorch "$libtorch" "$@" --ours "${ours[@]}"
