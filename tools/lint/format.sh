#!/bin/bash
# Checks that C files are laid out as .clang-format says; with --write, lays them out.
set -euo pipefail
. "$(dirname "$0")/source_files.sh"
mapfile -t files < <(source_files '*.c' '*.h')
[ ${#files[@]} -gt 0 ] || exit 0
if [ "${1:-}" = --write ]; then
    clang-format-19 -i "${files[@]}"
elif ! clang-format-19 --dry-run --Werror --ferror-limit=3 "${files[@]}"; then
    echo "try: make format"
    exit 1
fi
