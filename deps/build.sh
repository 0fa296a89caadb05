#!/bin/bash
# Makes the host-side dependencies ready and writes their places as CMake variables.
# usage: deps/build.sh FILE.cmake          (quick when everything is cached)
# Covers: packages of the running system, libcapsule_deps.a (Wasmtime's C API, TOML), yyjson, libcurl and nghttp2,
# the Python environment of the tests and linters. The guests have recipes of their own in guest/*/build.sh.
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

# From source since Debian's static library isn't position-independent, as libcapsule.so needs it.
build_nghttp2() {
    local source
    step "unpack nghttp2"
    tar -xf "$nghttp2_tar" --strip-components=1
    mkdir -p "$out/lib" "$out/include/nghttp2"
    sed -e 's/@PACKAGE_VERSION@/1.64.0/' -e 's/@PACKAGE_VERSION_NUM@/0x014000/' lib/includes/nghttp2/nghttp2ver.h.in \
        >"$out/include/nghttp2/nghttp2ver.h"
    cp lib/includes/nghttp2/nghttp2.h "$out/include/nghttp2/"
    cp COPYING "$out/LICENSE"
    step "compile nghttp2"
    for source in lib/*.c; do
        cc -O2 -DNDEBUG -DNGHTTP2_STATICLIB -DHAVE_ARPA_INET_H -DHAVE_NETINET_IN_H -DHAVE_TIME_H -DHAVE_CLOCK_GETTIME \
            -DHAVE_DECL_CLOCK_MONOTONIC=1 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections \
            -ffile-prefix-map="$PWD=nghttp2" -I"$out/include" -Ilib -c "$source"
    done
    ar crs "$out/lib/libnghttp2.a" ./*.o
}

# HTTP and HTTPS alone, without what would let an environment, a file or a server steer a request: no proxies, cookies, .netrc, HSTS, Alt-Svc or
# OpenSSL configuration, and no built-in place for certificates: src/net finds them on the machine that it runs on.
build_curl() {
    local off feature
    step "unpack curl"
    tar -xf "$curl_tar" --strip-components=1
    off=(-DBUILD_CURL_EXE=OFF -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DBUILD_EXAMPLES=OFF -DBUILD_LIBCURL_DOCS=OFF
        -DBUILD_MISC_DOCS=OFF -DENABLE_CURL_MANUAL=OFF -DPICKY_COMPILER=OFF -DCURL_USE_PKGCONFIG=OFF -DCURL_BROTLI=OFF
        -DCURL_ZSTD=OFF -DENABLE_UNIX_SOCKETS=OFF -DUSE_LIBIDN2=OFF -DCURL_USE_LIBPSL=OFF -DCURL_USE_LIBSSH2=OFF)
    for feature in ALTSVC AWS BINDLOCAL COOKIES DOH FORM_API GETOPTIONS HEADERS_API HSTS HTTP_AUTH IPFS MIME NETRC NTLM \
        OPENSSL_AUTO_LOAD_CONFIG PARSEDATE PROGRESS_METER PROXY SHA512_256 SHUFFLE_DNS SRP VERBOSE_STRINGS WEBSOCKETS; do
        off+=("-DCURL_DISABLE_$feature=ON")
    done
    step "configure curl"
    cmake -G Ninja -B made -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE="-O2 -DNDEBUG" \
        -DCMAKE_C_FLAGS="-fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -ffile-prefix-map=$PWD=curl" \
        -DCMAKE_INSTALL_PREFIX="$PWD/put" -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_STATIC_LIBS=ON "${off[@]}" \
        -DHTTP_ONLY=ON -DENABLE_IPV6=ON -DENABLE_THREADED_RESOLVER=ON -DCURL_USE_OPENSSL=ON -DOPENSSL_USE_STATIC_LIBS=ON \
        -DUSE_NGHTTP2=ON -DNGHTTP2_INCLUDE_DIR="$nghttp2/include" -DNGHTTP2_LIBRARY="$nghttp2/lib/libnghttp2.a" -DCURL_ZLIB=ON -DCURL_CA_BUNDLE=none -DCURL_CA_PATH=none
    step "compile curl"
    ninja -C made install
    mkdir "$out/lib"
    cp put/lib/libcurl.a "$out/lib/"
    cp -r put/include "$out/"
    cp COPYING "$out/LICENSE"
    step "check that a C program can use it, and what it can do"
    cat >check.c <<'EOF'
#include <curl/curl.h>
#include <string.h>
int main(void) {
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    int need = CURL_VERSION_SSL | CURL_VERSION_HTTP2 | CURL_VERSION_LIBZ | CURL_VERSION_IPV6 | CURL_VERSION_ASYNCHDNS | CURL_VERSION_THREADSAFE;
    const char *const *p = v->protocols;
    return !((v->features & need) == need && !strcmp(p[0], "http") && !strcmp(p[1], "https") && !p[2]);
}
EOF
    cc -DCURL_STATICLIB -I"$out/include" check.c "$out/lib/libcurl.a" "$nghttp2/lib/libnghttp2.a" -l:libssl.a -l:libcrypto.a -l:libz.a \
        -lpthread -ldl -o check
    ./check
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

debian13_source nghttp2 nghttp2_1.64.0.orig.tar.gz b452dc69a1fcbc9375389b8b154175d8b7b125cdd713fc426774c2b79a1ebd77
nghttp2_tar=$result
recipe nghttp2 build_nghttp2 "file:$nghttp2_tar" "text:$(debian_library_versions)"
nghttp2=$result

debian13_source curl curl_8.14.1.orig.tar.gz 6766ada7101d292b42b8b15681120acd68effa4a9660935853cf6d61f0d984d4
curl_tar=$result
recipe curl build_curl "file:$curl_tar" "text:$nghttp2" "text:$(debian_library_versions)"
curl=$result

recipe tools build_tools "file:$here/python-tools.txt" "text:$(/usr/bin/python3 -V)"
tools=$result

mkdir -p "$(dirname "$1")"
new=$(mktemp "$1.XXXXXX")
chmod 644 "$new"
cat >"$new" <<EOF
# Written by deps/build.sh.
set(CAPSULE_RUST "$rust")
set(CAPSULE_YYJSON "$yyjson")
set(CAPSULE_CURL "$curl")
set(CAPSULE_NGHTTP2 "$nghttp2")
set(CAPSULE_TOOLS "$tools")
EOF
# An unchanged file keeps its time, or CMake would configure again.
if cmp -s "$new" "$1"; then rm "$new"; else mv "$new" "$1"; fi
