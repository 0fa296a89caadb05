#!/bin/bash
# Type-checks all TypeScript: every tsconfig.json, each file in at least one of them. A checkout has no node_modules, so the sources are
# copied into build/lint/types, beside links to what npm installs into the build cache.
set -euo pipefail
. deps/recipe.sh
. deps/npm.sh
. tools/lint/source_files.sh
recipe_open_cache
npm_check

mkdir -p build/lint
exec 8>build/lint/types.lock
flock 8
tree=$(pwd -P)/build/lint/types
rm -rf "$tree"
source_files '*.ts' '*.tsx' '*.js' '*.mjs' '*.cjs' '*.json' >build/lint/types.list
mkdir "$tree"
xargs -d '\n' cp --parents -t "$tree" <build/lint/types.list

npm_packages js-packages "$PWD"/guest/js/runtime
ln -s "$result/node_modules" "$tree/guest/js/runtime/node_modules"
npm_packages js-example-packages "$PWD"/examples/packages
ln -s "$result/node_modules" "$tree/examples/packages/node_modules"
npm_packages js-sdk-packages "$PWD"/sdk/js
ln -s "$result/node_modules" "$tree/node_modules" # for all the others
tsc=$result/node_modules/.bin/tsc

cd "$tree" # so that errors name files as the repository does
status=0
for project in $(find . -name node_modules -prune -o -name tsconfig.json -printf '%P\n' | sort); do
    "$tsc" --noEmit --pretty false -p "$project" || status=1
    "$tsc" --listFilesOnly -p "$project" | sed -n "s#^$tree/##p" >>checked.txt
done
grep -E '\.tsx?$' ../types.list | grep -vxFf checked.txt | sed 's/$/: no tsconfig.json includes it/' && status=1
exit $status
