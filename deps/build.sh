#!/bin/bash
# Makes the host-side dependencies ready and writes their places as CMake variables.
# usage: deps/build.sh FILE.cmake          (quick when everything is cached)
# Covers: packages of the running system, libcapsule_deps.a (Wasmtime's C API, TOML), yyjson, the Python
# environment of the tests and linters. The guests have recipes of their own in guest/*/build.sh.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/recipe.sh"
. "$here/debian.sh"

build_rust() {
    step "compile libcapsule_deps.a (two minutes on two cores)"
    hint "cargo fetch --manifest-path deps/rust/Cargo.toml --locked   (to see whether the network is the cause)"
    cp "$here"/rust/Cargo.toml "$here"/rust/Cargo.lock "$here"/rust/lib.rs .
    CARGO_TARGET_DIR=$PWD/target cargo build --release --locked
    step "collect the library and its headers"
    mkdir -p "$out/lib" "$out/include"
    cp target/release/libcapsule_deps.a "$out/lib/"
    cp -r target/release/build/wasmtime-c-api-impl-*/out/include/. "$out/include/"
    cp "$here/rust/include/capsule_toml.h" "$out/include/"
    step "check that a C program can use it"
    cc -Wall -I"$out/include" "$here/rust/check.c" "$out/lib/libcapsule_deps.a" -lpthread -ldl -lm -o check
    ./check
}

build_yyjson() {
    step "unpack yyjson"
    tar -xf "$yyjson_tar" --strip-components=1
    cp src/yyjson.c src/yyjson.h LICENSE "$out/"
}

build_tools() {
    step "create a Python environment"
    hint "apt-get install python3-venv"
    /usr/bin/python3 -m venv --copies "$out"
    step "install the pinned test and lint tools from PyPI"
    hint "python3 -m pip download pytest   (to see whether pip reaches its package index)"
    "$out/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: \
        --require-hashes -r "$here/python-tools.txt"
    rm -rf "$out/bin/pip"* "$out"/lib/python3*/site-packages/pip*
}

recipe_open_cache
debian_install
command -v cargo >/dev/null ||
    recipe_die "cargo is not here: Wasmtime is compiled from its crate" "install a current Rust toolchain with rustup"

tools="text:$(rustc -V)"
recipe rust build_rust "$tools" "file:$here/rust/Cargo.toml" "file:$here/rust/Cargo.lock" "file:$here/rust/lib.rs" \
    "file:$here/rust/include/capsule_toml.h" "file:$here/rust/check.c"
rust=$result

debian13_source yyjson yyjson_0.10.0+ds.orig.tar.xz ae6fde69a193e10afab426ef13f113d6903446405f9db9ee98bfb572bd6c961a
yyjson_tar=$result
recipe yyjson build_yyjson "file:$yyjson_tar"
yyjson=$result

recipe tools build_tools "file:$here/python-tools.txt" "text:$(/usr/bin/python3 -V)"
tools=$result

mkdir -p "$(dirname "$1")"
new=$(mktemp "$1.XXXXXX")
chmod 644 "$new"
cat >"$new" <<EOF
# Written by deps/build.sh.
set(CAPSULE_RUST "$rust")
set(CAPSULE_YYJSON "$yyjson")
set(CAPSULE_TOOLS "$tools")
EOF
# An unchanged file keeps its time, or CMake would configure again.
if cmp -s "$new" "$1"; then rm "$new"; else mv "$new" "$1"; fi
