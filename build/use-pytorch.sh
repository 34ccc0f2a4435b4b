#!/usr/bin/env bash
# Runs a command with the libtorch of an installed PyTorch (its CUDA build, say) instead of a NuGet package's.
#   build/use-pytorch.sh [--python PYTHON] COMMAND [ARGUMENT ...]
#   build/use-pytorch.sh dotnet run -c Release -p:LibTorch=none --project samples/QuickStart -- --device cuda
# The application must have no libtorch of its own, and PyTorch be of the version that TorchSharp was built against, 2.10.
set -euo pipefail

python=${PYTHON:-python3}
if [ "${1:-}" = --python ]; then python=$2; shift 2; fi
if [ $# -eq 0 ]; then sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; fi

if [ -z "${DPL_LIBTORCH:-}" ]; then
  found=$("$python" - 2>/dev/null <<'PYTHON' || true
import os, torch
print(torch.__version__, os.path.join(os.path.dirname(torch.__file__), "lib"))
PYTHON
  )
  if [ -z "$found" ]; then echo "No PyTorch found by '$python': install it, name another with --python, or set DPL_LIBTORCH to its torch/lib." >&2; exit 1; fi
  version=${found%% *} DPL_LIBTORCH=${found#* }
  case $version in
    2.10.*) ;;
    *) echo "PyTorch here is $version; TorchSharp asks for 2.10." >&2; exit 1 ;;
  esac
fi
export DPL_LIBTORCH
echo "libtorch: $DPL_LIBTORCH" >&2
exec "$@"
