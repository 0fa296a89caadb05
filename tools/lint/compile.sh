#!/bin/bash
# Compiles all C with the compiler named and warnings as errors, in a tree of its own.
set -euo pipefail
tree=build/cmake/lint-$1
log=$tree.log
mkdir -p "$tree"
{
    CC=$1 cmake --preset release -B "$tree" -DCAPSULE_OUTPUT="$PWD/$tree/out" -DCAPSULE_WERROR=ON &&
        cmake --build "$tree" -- -k 0
} >"$log" 2>&1 || {
    grep -E 'error|warning|FAILED' "$log" | head -40
    echo "whole log: $log"
    exit 1
}
