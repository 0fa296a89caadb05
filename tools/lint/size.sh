#!/bin/bash
# Functions of at most 60 lines and complexity 15, files of at most 800 lines. A switch counts once: a long
# table of cases is easy to read.
set -euo pipefail
python=$1
. "$(dirname "$0")/source_files.sh"
status=0
mapfile -t files < <(source_files '*.c' '*.h' '*.py' '*.sh' '*.ts' '*.tsx' '*.js' '*.mjs' '*.cjs')
while read -r lines file; do
    if [ "$lines" -gt 800 ] && [ "$file" != total ]; then
        echo "$file: $lines lines (at most 800): split it by idea"
        status=1
    fi
done < <(wc -l "${files[@]}")

small() { "$python" -m lizard --modified --CCN 15 --warnings_only "$@" || status=1; }
mapfile -t files < <(source_files '*.c' '*.h')
small --length 60 --languages cpp "${files[@]}"
# Lines without those of the functions inside, which count for themselves: a suite of tests is a function full of them.
mapfile -t files < <(source_files '*.ts' '*.tsx' '*.js' '*.mjs' '*.cjs')
small --Threshold nloc=60 --languages typescript --languages javascript "${files[@]}"
exit $status
