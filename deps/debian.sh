# Packages from Debian (bash; sourced after recipe.sh): those of the running system, installed by name, and
# single files of Debian 13, fetched without touching the system's package sources.

# Everything that any part of the build or the tests takes from the running system, in one place.
debian_packages=(
    clang-19 lld-19 llvm-19              # the WebAssembly compiler; also native sanitizer builds
    libclang-rt-19-dev                   # its sanitizer and profile runtimes
    libclang-rt-19-dev-wasm32            # its builtins for WebAssembly
    binaryen                             # wasm-opt
    cmake ninja-build pkg-config
    libcmocka-dev libsodium-dev zlib1g-dev
    libssl-dev                           # under libcurl, linked statically
    libsqlite3-dev                       # the journal, linked statically
    xz-utils python3 python3-venv
    clang-format-19                      # make lint
)
# For the JavaScript guest's runtime; a Node.js from elsewhere is as good.
command -v npm >/dev/null || debian_packages+=(nodejs npm)

debian_missing() {
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${debian_packages[@]}" 2>/dev/null |
        awk '$2 == "installed" { print $1 }' | grep -vxFf - <(printf '%s\n' "${debian_packages[@]}") || true
}

debian_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

debian_install() {
    local missing log=$cache/log/apt.log
    command -v dpkg-query >/dev/null ||
        recipe_die "this build takes its tools from Debian packages, and dpkg is not here" \
            "Debian 12 or later is needed; install by hand: ${debian_packages[*]}"
    [ -n "$(debian_missing)" ] || return 0
    exec 9>"$cache/apt.lock"
    flock 9
    missing=$(debian_missing | tr '\n' ' ')
    if [ -z "${missing// /}" ]; then # another build was quicker
        exec 9>&-
        return 0
    fi
    printf 'capsule build: installing %s\n' "$missing" >&2
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null ||
        recipe_die "packages are missing and neither root nor sudo without a password is at hand" \
            "try: sudo apt-get install --no-install-recommends $missing"
    {
        # An earlier installation that was cut off leaves packages half done; apt refuses to go on before that.
        [ -z "$(dpkg --audit)" ] || debian_as_root dpkg --configure -a
        debian_as_root apt-get -o DPkg::Lock::Timeout=600 update
        # shellcheck disable=SC2086  # a list of names
        debian_as_root env DEBIAN_FRONTEND=noninteractive apt-get -y --no-install-recommends \
            -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 install $missing
    } >"$log" 2>&1 9>&- || {
        tail -n 15 "$log" | sed 's/^/  | /' >&2
        recipe_die "apt-get could not install: $missing" "whole log: $log" \
            "try: apt-get install --no-install-recommends $missing"
    }
    exec 9>&-
}

# One line that changes when a tool that shapes results changes.
debian_tool_versions() {
    dpkg-query -W -f '${Package}=${Version} ' clang-19 lld-19 llvm-19 libclang-rt-19-dev \
        libclang-rt-19-dev-wasm32 binaryen gcc
}

# The same for what libcurl is compiled against.
debian_library_versions() {
    dpkg-query -W -f '${Package}=${Version} ' libssl-dev zlib1g-dev gcc
}

# Debian 13's package lists, in folders of our own beside the system's. Sets debian13_options.
debian13_open() {
    local uri state=$PWD/apt
    step "find the address of the Debian archive that this system uses"
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
    if [ -z "$uri" ]; then
        hint "apt-get update (as root): the system has no package lists yet"
        debian_as_root apt-get -o DPkg::Lock::Timeout=600 update
        uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
    fi
    [ -n "$uri" ]
    mkdir -p "$state/state/lists/partial" "$state/cache/archives/partial"
    printf 'deb %s trixie main\ndeb-src %s trixie main\n' "$uri" "$uri" >"$state/sources.list"
    debian13_options=(-o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State=$state/state" -o "Dir::Cache=$state/cache"
        -o Dir::State::status=/var/lib/dpkg/status -o APT::Sandbox::User=root)
    step "read Debian 13's package lists" apt-get "${debian13_options[@]}" update
}

# Downloads the one file that `apt-get … --print-uris` lists as $fetch_file. Not `apt-get source`: that wants
# all files of the package, among them the packaging, whose version moves while the upstream source stays.
debian13_download() {
    local line
    debian13_open
    step "look for $fetch_file in Debian 13"
    hint "see which version Debian 13 has now, and pin that in the recipe"
    line=$(apt-get "${debian13_options[@]}" "$@" --print-uris "$debian13_package" | grep -F " $fetch_file ")
    step "download $fetch_file"
    line=${line#\'}
    /usr/lib/apt/apt-helper "${debian13_options[@]}" download-file "${line%%\'*}" "$out/$fetch_file" "SHA256:$fetch_sha256"
}

debian13_download_source() { debian13_download source; }
debian13_download_binary() { debian13_download download; }

#   debian13_source PACKAGE FILE SHA256      an upstream tarball; sets $result to the file
#   debian13_binary PACKAGE FILE SHA256      a .deb
debian13_source() {
    debian13_package=$1
    recipe_fetch "$2" "$3" debian13_download_source
}

debian13_binary() {
    debian13_package=$1
    recipe_fetch "$2" "$3" debian13_download_binary
}
