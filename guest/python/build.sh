#!/bin/bash
# Builds the Python guest: CPython for wasm32-wasip1 with our shim, its memory, its standard library.
# usage: guest/python/build.sh FOLDER      puts the result into FOLDER/python/ (quick when nothing changed):
#   core.wasm memory.bin                   the interpreter's code; its linear memory as linked
#   lib/python3.13/ lib/site/capsule/      the standard library; the `capsule` package that tasks import
#   guest.json                             name, version and digest of all this
# and FOLDER/python.native, a file with the path of a native CPython of the same version (for benchmarks).
#
# Stages, each cached by its inputs:  source → native → profile → libpython → link → result
#                                               └→ stdlib, package ───────────────→ result
# The profile comes from a native build: clang counts in the front end, before there is a target, so the
# counts fit the WebAssembly build as long as both see the same source (hence no computed gotos, which
# WebAssembly hasn't). It is worth 7 to 13 % of CPU time.
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/deps/recipe.sh"
. "$root/deps/debian.sh"
. "$root/deps/wasi.sh"
. "$root/guest/recipe.sh"

version=3.13.5
jobs=$(nproc)

# Modules that need libraries of the build machine: left out, so that results don't depend on what is installed.
no_host_libraries() {
    local module
    for module in _ssl _hashlib _tkinter _curses _curses_panel readline _dbm _gdbm _lzma _bz2 _sqlite3 _uuid \
        _ctypes _crypt nis; do
        export "py_cv_module_$module=n/a"
    done
}

build_source() {
    step "unpack CPython $version"
    tar -xf "$python_tar" --strip-components=1 -C "$out"
    rm -rf "$out/Doc" "$out/PCbuild" "$out/PC/layout" "$out/Mac"
    # How deep C code may recurse before Python raises RecursionError. On 8 MiB of linear stack the figure of the
    # release, 5000, ends in a trap instead: compiling a chain of `elif` takes 2,300 bytes a level, one of calls or
    # attributes 1,730 (all else measured takes less: sorted() with a recursive key 630, json and repr 80).
    step "lower the C recursion limit"
    hint "Include/cpython/pystate.h has changed; adapt this step"
    grep -qx '#  define Py_C_RECURSION_LIMIT 5000' "$out/Include/cpython/pystate.h"
    sed -i 's/^#  define Py_C_RECURSION_LIMIT 5000$/#  define Py_C_RECURSION_LIMIT 3000/' "$out/Include/cpython/pystate.h"
}

# A python3.13 for this machine: freezes and compiles modules for the guest; benchmarks compare with it.
build_native() {
    no_host_libraries
    step "configure a native CPython"
    "$source/configure" --disable-test-modules --without-ensurepip --without-system-libmpdec MODULE_BUILDTYPE=static \
        CC=gcc CFLAGS="-O2 -g0"
    step "compile a native CPython (a minute)"
    make -j"$jobs" python pybuilddir.txt platform
    step "install it"
    mkdir -p "$out/bin" "$out/lib/python3.13/lib-dynload"
    cp python "$out/bin/python3.13"
    (cd "$source/Lib" && tar -cf - --exclude=test --exclude=idlelib --exclude=tkinter .) | tar -xf - -C "$out/lib/python3.13"
    cp "$(cat pybuilddir.txt)"/_sysconfigdata*.py "$out/lib/python3.13/"
    "$out/bin/python3.13" -c 'import json, zlib, decimal, sysconfig; sysconfig.get_config_vars()'
}

build_profile() {
    no_host_libraries
    step "configure a CPython that counts"
    "$source/configure" --disable-test-modules --without-ensurepip --without-system-libmpdec --without-computed-gotos \
        MODULE_BUILDTYPE=static CC=clang-19 CFLAGS="-O1 -g0 -fprofile-instr-generate" LDFLAGS=-fprofile-instr-generate
    step "compile a CPython that counts (a minute)"
    export LLVM_PROFILE_FILE=/dev/null
    make -j"$jobs" python pybuilddir.txt platform
    step "run the workload (a minute)"
    mkdir profiles
    export LLVM_PROFILE_FILE=$PWD/profiles/%p.profraw PYTHONDONTWRITEBYTECODE=1
    ./python "$here/pgo/workload.py"
    # A test that fails here (no network, an odd machine) has still been counted.
    xargs <"$here/pgo/tests.txt" timeout 300 ./python -m test --timeout 120 -j0 || true
    step "merge the counts"
    llvm-profdata-19 merge -o "$out/python.profdata" profiles/*.profraw
}

build_libpython() {
    local emulated="-D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_MMAN"
    export PATH="$wasi/bin:$PATH"
    # For sys.version: the day of the release instead of today, so that equal inputs give equal code.
    export SOURCE_DATE_EPOCH=1749600000
    # memfd_create and dlopen are declared by wasi-libc but not there.
    cp "$source/Tools/wasm/config.site-wasm32-wasi" config.site
    printf 'ac_cv_func_memfd_create=no\nac_cv_func_dlopen=no\n' >>config.site
    step "configure CPython for WASI"
    # An empty PKG_CONFIG_LIBDIR, or configure takes the build machine's libraries for the guest's.
    PKG_CONFIG_PATH= PKG_CONFIG_LIBDIR=/nonexistent CONFIG_SITE=config.site \
        CC=wasi-cc AR=wasi-ar RANLIB=wasi-ranlib CFLAGS="-O3 -g0 -flto=full $emulated" \
        CFLAGS_NODIST="-fprofile-instr-use=$profile/python.profdata -Wno-profile-instr-out-of-date -Wno-profile-instr-unprofiled -Wno-backend-plugin" \
        ZLIB_CFLAGS="-I$zlib/include" ZLIB_LIBS="-L$zlib/lib -lz" \
        LIBS="-lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks -lwasi-emulated-mman" \
        "$source/configure" --host=wasm32-unknown-wasip1 --build="$(sh "$source/config.guess")" \
        --with-build-python="$native/bin/python3.13" --disable-test-modules --without-ensurepip --disable-ipv6 \
        --without-system-libmpdec --with-pymalloc --with-suffix=.wasm
    grep -q '^MODULE_ZLIB_STATE=yes' Makefile
    step "compile CPython for WASI (a minute)"
    make -j"$jobs" libpython3.13.a pybuilddir.txt
    step "collect libraries and headers"
    mkdir -p "$out/lib" "$out/include"
    cp libpython3.13.a Modules/_decimal/libmpdec/libmpdec.a Modules/_hacl/libHacl_Hash_SHA2.a \
        Modules/expat/libexpat.a "$out/lib/"
    cp -r "$source/Include/." pyconfig.h "$out/include/"
    # Guests see this file; places of the build machine are none of their business.
    sed -e "s#$source#/usr/src/python#g; s#$PWD#/usr/src/build#g; s#$cache#/usr/src#g" \
        "$(cat pybuilddir.txt)"/_sysconfigdata*.py >"$out/lib/$(basename "$(cat pybuilddir.txt)"/_sysconfigdata*.py)"
}

build_link() {
    export PATH="$wasi/bin:$PATH"
    step "compile the shim"
    local file objects=()
    for file in "${shim[@]}"; do
        wasi-cc "${guest_compile_flags[@]}" -isystem "$libpython/include" -I"$here" -I"$root/guest/common" -I"$root/guest" \
            -D_WASI_EMULATED_SIGNAL -c "$file" -o "$(basename "$file" .c).o"
        objects+=("$(basename "$file" .c).o")
    done
    step "link"
    wasi-cc "${guest_link_flags[@]}" -O3 -flto=full -Wl,--lto-O3 "${objects[@]}" "$libpython"/lib/{libpython3.13,libmpdec,libHacl_Hash_SHA2,libexpat}.a \
        "$zlib/lib/libz.a" -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks \
        -lwasi-emulated-mman -o linked.wasm
    optimise_and_split linked.wasm
}

build_stdlib() {
    local lib=$out/lib/python3.13
    step "copy the standard library"
    mkdir -p "$lib"
    (cd "$source/Lib" && tar -cf - --exclude=__pycache__ --exclude=./test --exclude=./idlelib --exclude=./tkinter \
        --exclude=./turtledemo --exclude=./turtle.py --exclude=./ensurepip --exclude=./venv --exclude=./lib2to3 \
        --exclude=./pydoc_data --exclude=./__phello__ .) | tar -xf - -C "$lib"
    find "$lib" -type f ! -name '*.py' ! -name '*.txt' ! -name '*.json' -delete
    find "$lib" -type d -empty -delete
    cp "$libpython"/lib/_sysconfigdata*.py "$lib/"
    cp "$source/LICENSE" "$lib/LICENSE.txt"
    step "compile the standard library"
    compile_for_guest "$out" lib/python3.13
    seal "$out"
}

build_package() {
    step "copy and compile the capsule package"
    mkdir -p "$out/lib/site"
    cp -r "$root/sdk/python/capsule" "$out/lib/site/capsule"
    find "$out" -name __pycache__ -prune -exec rm -rf {} +
    compile_for_guest "$out" lib/site
    seal "$out"
}

# compile_for_guest ROOT FOLDER: .pyc files that name the guest's paths and are believed without a look at the
# source: what is mounted read-only can't have changed.
compile_for_guest() {
    (cd "$1" && "$native/bin/python3.13" -m compileall -q -o 0 -j "$jobs" --invalidation-mode unchecked-hash \
        -p / "$2")
}

recipe_open_cache
debian_install
shopt -s nullglob
shim=("${CAPSULE_SHIM:-$here}"/*.c "$root"/guest/common/*.c)
headers=("$here"/*.h "$root"/guest/common/*.h "$root"/guest/*.h "$root"/guest/*.def)
[ ${#shim[@]} -gt 0 ] || recipe_die "there is no shim to link: no .c file in guest/python"

wasi_open
wasi_zlib
debian13_source python3.13 python3.13_$version.orig.tar.xz 93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640
python_tar=$result
recipe python-source build_source "text:$python_tar"
source=$result
recipe python-native build_native "text:$source" "text:$(declare -f no_host_libraries)" "$wasi_tools"
native=$result
# Counts of static functions carry the path of their file, so $source is an input of both sides.
recipe python-profile build_profile "text:$source" "text:$(declare -f no_host_libraries)" "$wasi_tools" \
    "file:$here/pgo/workload.py" "file:$here/pgo/tests.txt"
profile=$result
recipe python-libpython build_libpython "text:$source" "text:$native" "text:$profile" "text:$wasi" "text:$zlib"
libpython=$result

helpers="text:$(declare -f compile_for_guest seal)"
recipe python-link build_link "text:$libpython" "text:$zlib" "${split_inputs[@]}" \
    "${shim[@]/#/file:}" "${headers[@]/#/file:}"
link=$result
recipe python-stdlib build_stdlib "text:$source" "text:$libpython" "text:$native" "$helpers"
stdlib=$result
package=
if [ -d "$root/sdk/python/capsule" ]; then
    package_files=()
    while IFS= read -r file; do
        package_files+=("text:${file#"$root/"}" "file:$file")
    done < <(find "$root/sdk/python/capsule" -type f ! -name '*.pyc' | LC_ALL=C sort)
    recipe python-package build_package "text:$native" "$helpers" "${package_files[@]}"
    package=$result
fi

guest_install "$1" python "$version" "$link/core.wasm" "$link/memory.bin" lib/ "$stdlib/lib/python3.13" ${package:+"$package/lib/site"}
printf '%s\n' "$native/bin/python3.13" >"$1/python.native"
