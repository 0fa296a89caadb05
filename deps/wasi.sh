# The WebAssembly toolchain of the guests (bash; sourced after recipe.sh and debian.sh): Debian 12's clang with
# the C library of Debian 13, whose wasi-libc is the younger one; and zlib, which more than one guest may want.

wasi_sysroot_recipe() {
    step "unpack wasi-libc"
    dpkg-deb -x "$wasi_deb" deb
    mv deb/usr/include deb/usr/lib "$out/"
    cp deb/usr/share/doc/wasi-libc/copyright "$out/COPYRIGHT"
    step "write the compiler's wrappers"
    mkdir "$out/bin"
    # The wrappers find the sysroot by their own place, since this folder is renamed when it is done.
    printf '#!/bin/sh\nexec clang-19 --target=wasm32-wasi --sysroot="${0%%/*}/.." "$@"\n' >"$out/bin/wasi-cc"
    printf '#!/bin/sh\nexec llvm-ar-19 "$@"\n' >"$out/bin/wasi-ar"
    printf '#!/bin/sh\nexec llvm-ranlib-19 "$@"\n' >"$out/bin/wasi-ranlib"
    chmod +x "$out"/bin/*
    step "compile and link something with it"
    printf '#include <stdio.h>\nint main(void) { puts("x"); }\n' >t.c
    "$out/bin/wasi-cc" -O1 t.c -o t.wasm
}

wasi_zlib_recipe() {
    step "unpack zlib"
    tar -xf "$zlib_tar" --strip-components=1
    step "compile zlib"
    local source
    for source in adler32 compress crc32 deflate infback inffast inflate inftrees trees uncompr zutil; do
        "$wasi/bin/wasi-cc" -O3 -g0 -DNDEBUG -DHAVE_HIDDEN -c "$source.c" -o "$source.o"
    done
    mkdir -p "$out/lib" "$out/include"
    "$wasi/bin/wasi-ar" crs "$out/lib/libz.a" ./*.o
    cp zlib.h zconf.h "$out/include/"
    cp LICENSE "$out/" 2>/dev/null || cp README "$out/LICENSE"
}

# Sets $wasi (a sysroot with bin/wasi-cc, wasi-ar, wasi-ranlib) and $wasi_tools (an input for recipes).
wasi_open() {
    debian13_binary wasi-libc wasi-libc_0.0~git20241209.574b88d-2_all.deb \
        b7716260051d289248b7667f81fa2792c125d888ff51da3fa09c6272cc0bd11d
    wasi_deb=$result
    wasi_tools="text:$(debian_tool_versions)"
    recipe wasi-sysroot wasi_sysroot_recipe "text:$wasi_deb" "$wasi_tools"
    wasi=$result
}

# Sets $zlib (include/ and lib/libz.a for wasm32).
wasi_zlib() {
    debian13_source zlib zlib_1.3.dfsg+really1.3.1.orig.tar.gz \
        60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb
    zlib_tar=$result
    recipe wasi-zlib wasi_zlib_recipe "text:$wasi" "text:$zlib_tar"
    zlib=$result
}
