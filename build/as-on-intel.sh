#!/usr/bin/env bash
# Runs a command with the instructions that an Intel processor would get, on an AMD one: libtorch's MKL asks for the maker of the processor
# before it chooses its kernels, and is told Intel. Shows what other kernels, other roundings and other alignments do to the tests; it is no
# proof for a real Xeon, whose caches, memory and speed are its own.
#   build/as-on-intel.sh bash .ci/run
#   build/as-on-intel.sh --avx2 dotnet test -c Release --filter FullyQualifiedName~ResumeTests     as on one without AVX-512
# Linux x64; needs a C compiler (cc).
set -euo pipefail
if [ "${1:-}" = --avx2 ]; then
  shift
  export MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 DOTNET_EnableAVX512=0
fi
[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
command -v cc > /dev/null || { echo "there is no C compiler: install one (Debian: gcc)" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'int mkl_serv_intel_cpu_true(void) { return 1; }\nint mkl_serv_intel_cpu(void) { return 1; }\n' > "$work/intel.c"
cc -shared -fPIC -O1 -o "$work/intel.so" "$work/intel.c"
LD_PRELOAD="$work/intel.so${LD_PRELOAD:+:$LD_PRELOAD}" "$@"
