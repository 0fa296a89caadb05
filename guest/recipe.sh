# What the guests' recipes share (bash; sourced after deps/recipe.sh and deps/wasi.sh): from a linked module to a folder that the host
# can use.

# Makes a result read-only (it is hard-linked into build/, where somebody may edit it) and notes its digest.
seal() {
    (cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-64) >.digest
    mv .digest "$1/.digest"
    find "$1" -type f -exec chmod a-w {} +
}

# How shims are compiled. With -Werror, as the compiler is always the same.
guest_compile_flags=(-std=gnu17 -O3 -g0 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
    -Wconversion -Werror)

# What a link of a guest needs besides its own flags. The stack comes first in memory, so that overflowing it traps at address 0 instead
# of running into data. Memory starts as small as the linker finds possible: it grows when the guest asks.
guest_link_flags=(-mexec-model=reactor -Wl,--export-memory -Wl,--export=__stack_pointer -Wl,--stack-first
    -Wl,-z,stack-size=8388608 -Wl,--gc-sections -Wl,--strip-all)

# optimise_and_split LINKED.wasm: the last two steps of a recipe; puts core.wasm and memory.bin into $out.
optimise_and_split() {
    step "optimise (a minute)"
    wasm-opt -O3 --enable-bulk-memory --enable-mutable-globals --enable-sign-ext \
        --enable-nontrapping-float-to-int "$1" -o optimised.wasm
    step "split code from memory"
    /usr/bin/python3 "$root/guest/split_module.py" optimised.wasm "$out/core.wasm" "$out/memory.bin"
    seal "$out"
}

# Inputs of every recipe that calls it.
split_inputs=("text:$(declare -f seal optimise_and_split) ${guest_compile_flags[*]} ${guest_link_flags[*]}" "file:$root/guest/split_module.py")

# link_or_copy FROM… FOLDER: hard links where the cache is on the same file system. Files there are read-only, so
# nobody changes them through the link.
link_or_copy() {
    cp -al "$@" 2>/dev/null || cp -a --remove-destination "$@"
}

# guest_install FOLDER NAME VERSION PART…: puts sealed results into FOLDER/NAME with a guest.json, aside and then by renaming: others may be
# running from it. A part is a file or folder of a sealed result, or "sub/" for the folder that the parts after it go into.
guest_install() {
    local folder=$1 name=$2 version=$3 part digests=() place="" json
    shift 3
    for part; do
        [[ $part == */ ]] || digests+=("$(guest_digest_of "$part")")
    done
    json=$(printf '{"name": "%s", "version": "%s", "digest": "%s"}' "$name" "$version" \
        "$(printf '%s\n' "${digests[@]}" | sha256sum | cut -c1-64)")
    [ "$(cat "$folder/$name/guest.json" 2>/dev/null)" != "$json" ] || return 0
    mkdir -p "$folder"
    exec 9>"$folder/.$name.lock"
    flock 9
    local new=$folder/$name.new
    rm -rf "$new" "$folder/$name.old"
    mkdir "$new"
    for part; do
        if [[ $part == */ ]]; then
            place=/${part%/}
            mkdir -p "$new$place"
        else
            link_or_copy "$part" "$new$place/"
        fi
    done
    printf '%s\n' "$json" >"$new/guest.json"
    [ ! -e "$folder/$name" ] || mv -T "$folder/$name" "$folder/$name.old"
    mv -T "$new" "$folder/$name"
    rm -rf "$folder/$name.old"
    exec 9>&-
}

# The digest of the sealed result that a part belongs to.
guest_digest_of() {
    local at
    at=$(dirname "$1")
    while [ ! -f "$at/.digest" ]; do
        [ "$at" != / ] || recipe_die "$1 belongs to no sealed result"
        at=$(dirname "$at")
    done
    cat "$at/.digest"
}
