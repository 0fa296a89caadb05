#!/bin/bash
# Builds the JavaScript guest: QuickJS-ng for wasm32-wasip1 with our shim and runtime, and its memory.
# usage: guest/js/build.sh FOLDER [stress]     puts the result into FOLDER/js/ (quick when nothing changed):
#   core.wasm memory.bin                   the engine's code; its linear memory as linked, the runtime's text in it
#   guest.json                             name, version and digest of all this
# and FOLDER/esbuild, which the host bundles TypeScript and JavaScript programs with.
# stress: a guest for tests, whose collector runs before every allocation of a task's.
#
# Stages, each cached by its inputs:  engine, packages → runtime → link → result
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/deps/recipe.sh"
. "$root/deps/debian.sh"
. "$root/deps/wasi.sh"
. "$root/deps/npm.sh"
. "$root/guest/recipe.sh"
. "$here/engine/adapt.sh"

version=0.17.0
python_version=3.13.5

download_engine() {
    step "download QuickJS-ng's sources from PyPI"
    hint "python3 -m pip download quickjs-ng   (to see whether pip reaches its package index)"
    /usr/bin/python3 -m venv pip
    pip/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: -d "$out" quickjs-ng==0.17.0.2
}

# The engine and, from CPython's source, HACL*'s SHA-1 and SHA-2.
build_engine() {
    step "unpack QuickJS-ng"
    mkdir quickjs hacl "$out/lib" "$out/include"
    tar -xf "$engine_tar" --strip-components=1 -C quickjs
    tar -xf "$python_tar" --strip-components=3 -C hacl --wildcards '*/Modules/_hacl/*'
    (cd quickjs/upstream-quickjs && engine_adapt)
    step "compile QuickJS-ng"
    local name
    for name in quickjs dtoa libregexp libunicode; do
        "$wasi/bin/wasi-cc" -std=gnu17 -O3 -g0 -DNDEBUG -D_GNU_SOURCE -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS \
            "${variant_flags[@]}" -c "quickjs/upstream-quickjs/$name.c" -o "$name.o"
    done
    step "compile HACL*"
    for name in Hacl_Hash_SHA1 Hacl_Hash_SHA2; do
        "$wasi/bin/wasi-cc" -O3 -g0 -DNDEBUG -Ihacl -Ihacl/include -c "hacl/$name.c" -o "$name.o"
    done
    "$wasi/bin/wasi-ar" crs "$out/lib/libengine.a" ./*.o
    cp quickjs/upstream-quickjs/quickjs.h "$out/include/"
    step "compile the compiler to bytecode, for this machine"
    cc -std=gnu17 -O1 -g0 -DNDEBUG -D_GNU_SOURCE -w -Iquickjs/upstream-quickjs "$here/engine/compile.c" \
        quickjs/upstream-quickjs/{quickjs,dtoa,libregexp,libunicode}.c -lm -lpthread -o "$out/compile"
    cp -r hacl "$out/include/hacl"
    cp quickjs/LICENSE "$out/LICENSE"
}

build_runtime() {
    step "bundle the runtime"
    # esbuild looks for packages beside the sources, which are copied so that nothing else lies beside them.
    mkdir -p guest/js sdk/js
    cp -r "$here/runtime" guest/js/runtime
    cp -r "$root/sdk/js/src" sdk/js/src
    rm -rf guest/js/runtime/node_modules
    ln -s "$packages/node_modules" guest/js/runtime/node_modules
    node guest/js/runtime/bundle.mjs guest/js/runtime/main.ts "$out/runtime.js"
    step "compile it to bytecode"
    "$engine/compile" "$out/runtime.js" capsule:runtime "$out/runtime.bytecode"
}

build_js_link() {
    step "compile the shim"
    local file objects=()
    for file in "${shim[@]}"; do
        "$wasi/bin/wasi-cc" "${guest_compile_flags[@]}" -Wno-c23-extensions --embed-dir="$runtime" \
            -isystem "$engine/include" -isystem "$engine/include/hacl" -isystem "$engine/include/hacl/include" -I"$here" \
            -I"$root/guest/common" -I"$root/guest" "${variant_flags[@]}" -c "$file" -o "$(basename "$file" .c).o"
        objects+=("$(basename "$file" .c).o")
    done
    step "link"
    # Of the stack the engine may use two MiB (shim.c); the rest is for C code between two of its checks.
    "$wasi/bin/wasi-cc" "${guest_link_flags[@]}" -Wl,-z,stack-size=3145728 -O3 "${objects[@]}" "$engine/lib/libengine.a" -lwasi-emulated-signal \
        -lwasi-emulated-process-clocks -o linked.wasm
    optimise_and_split linked.wasm
}

suffix=${2:+-$2} variant_flags=()
case ${2:-} in
"") ;;
stress) variant_flags=(-DCAPSULE_GC_STRESS) ;;
*) recipe_die "guest/js/build.sh: no such variant: $2" ;;
esac

recipe_open_cache
debian_install
npm_check
shopt -s nullglob
shim=("$here"/*.c "$root"/guest/common/*.c)
headers=("$here"/*.h "$root"/guest/common/*.h "$root"/guest/*.h "$root"/guest/*.def)

wasi_open
recipe_fetch quickjs_ng-0.17.0.2.tar.gz 43d2e48272208721a7aaea8e3f02d4b9318f12ef20cc4f5421b59d9a470706ef download_engine
engine_tar=$result
debian13_source python3.13 python3.13_$python_version.orig.tar.xz 93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640
python_tar=$result
recipe "js-engine$suffix" build_engine "text:${variant_flags[*]}" "text:$engine_tar" "text:$python_tar" "text:$wasi" "file:$here/engine/adapt.sh" "file:$here/engine/freeze.c" "file:$here/engine/json.c" \
    "file:$here/engine/compile.c"
engine=$result

npm_packages js-packages "$here/runtime"
packages=$result
sources=()
while IFS= read -r file; do
    sources+=("text:${file#"$root/"}" "file:$file")
done < <(find "$here/runtime" "$root/sdk/js/src" -name node_modules -prune -o -type f -print | LC_ALL=C sort)
recipe "js-runtime$suffix" build_runtime "text:$packages" "text:$engine" "${sources[@]}"
runtime=$result

recipe "js-link$suffix" build_js_link "text:$engine" "text:$runtime" "${split_inputs[@]}" "${shim[@]/#/file:}" "${headers[@]/#/file:}"
link=$result

guest_install "$1" js "$version" "$link/core.wasm" "$link/memory.bin"
esbuild=$packages/node_modules/@esbuild/linux-x64/bin/esbuild
cmp -s "$esbuild" "$1/esbuild" || { cp "$esbuild" "$1/esbuild.$$" && mv "$1/esbuild.$$" "$1/esbuild"; }
