# Library of the build recipes (bash; sourced by deps/build.sh and guest/*/build.sh).
#
# A recipe is a function that fills the folder $out from pinned inputs. Its result lives in
# $cache/NAME-KEY/, where KEY is a hash of everything that determines it: the function's own text, the texts
# and files given as inputs, and whatever version strings the caller passes. Invariants:
#   - $cache/NAME-KEY exists only whole: it is built in $cache/.tmp-NAME.* and renamed at the end;
#   - one builder per NAME at a time (flock); the temporary folders it finds then belong to dead builds;
#   - results are never changed afterwards, so a path to one may be kept for as long as the folder exists.
#
#   recipe NAME FUNCTION [text:STRING | file:PATH]...    builds if needed, sets $result
# Inside FUNCTION: `step "words" command…` names what is going on, `hint "command"` says how to mend a failure.

set -euo pipefail
umask 022

recipe_die() {
    printf 'capsule build: %s\n' "$1" >&2
    shift
    local line
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

recipe_open_cache() {
    if [ -n "${CAPSULE_BUILD_CACHE:-}" ]; then
        cache=$CAPSULE_BUILD_CACHE
    elif [ -n "${HOME:-}" ]; then
        cache=$HOME/.cache/capsule-build
    else
        recipe_die "no place for the build cache: HOME is not set" "try: export CAPSULE_BUILD_CACHE=/some/folder"
    fi
    mkdir -p "$cache/log" "$cache/used" 2>/dev/null && [ -w "$cache" ] ||
        recipe_die "the build cache $cache can't be written" "try: export CAPSULE_BUILD_CACHE=/some/folder"
    cache=$(cd "$cache" && pwd)
}

step() {
    printf '%s\n' "$1" >"$recipe_tmp/.step"
    printf '== %s\n' "$1"
    shift
    [ $# -eq 0 ] || "$@"
}

hint() { printf '%s\n' "$1" >"$recipe_tmp/.hint"; }

recipe_hash() {
    local input
    for input in "$@"; do
        case $input in
        text:*) printf '%s\n' "$input" ;;
        file:*) printf 'file %s ' "${input##*/}" && sha256sum <"${input#file:}" ;;
        *) recipe_die "recipe input '$input' is neither text: nor file:" ;;
        esac
    done | sha256sum | cut -c1-16
}

recipe_failed() {
    local name=$1 log=$2 hint_text=""
    [ ! -f "$recipe_tmp/.hint" ] || hint_text=$(cat "$recipe_tmp/.hint")
    printf 'capsule build: %s failed at: %s\n' "$name" "$(cat "$recipe_tmp/.step" 2>/dev/null || echo start)" >&2
    printf '  the last lines of its log:\n' >&2
    tail -n 15 "$log" | sed 's/^/  | /' >&2
    printf '  whole log: %s\n' "$log" >&2
    [ -z "$hint_text" ] || printf '  try: %s\n' "$hint_text" >&2
    rm -rf "$recipe_tmp"
    exit 1
}

# Removes results of NAME that nobody asked for in two weeks: every edit of a recipe leaves one behind.
recipe_drop_old() {
    local stamp
    find "$cache/used" -name "$1-????????????????" -mtime +14 | while IFS= read -r stamp; do
        rm -rf "$cache/${stamp##*/}" "$stamp"
    done
}

# With the lock held: builds NAME into a temporary folder and renames it to $result.
recipe_build() {
    local name=$1 function=$2 log=$cache/log/$1.log began=$SECONDS code
    rm -rf "$cache/.tmp-$name."*
    recipe_tmp=$(mktemp -d "$cache/.tmp-$name.XXXXXX")
    mkdir "$recipe_tmp/out" "$recipe_tmp/work"
    chmod 755 "$recipe_tmp/out"
    printf 'capsule build: %s …\n' "$name" >&2
    # Not `( … ) || failed`: bash would ignore set -e inside.
    set +e
    (
        set -euo pipefail
        out=$recipe_tmp/out
        cd "$recipe_tmp/work"
        "$function"
    ) >"$log" 2>&1 9>&-
    code=$?
    set -e
    [ $code -eq 0 ] || recipe_failed "$name" "$log"
    mv -T "$recipe_tmp/out" "$result"
    rm -rf "$recipe_tmp"
    recipe_drop_old "$name"
    printf 'capsule build: %s done in %d s\n' "$name" $((SECONDS - began)) >&2
}

recipe() {
    local name=$1 function=$2
    shift 2
    result=$cache/$name-$(recipe_hash "text:$(declare -f "$function")" "$@")
    : >"$cache/used/${result##*/}"
    [ ! -d "$result" ] || return 0
    exec 9>"$cache/$name.lock"
    flock -n 9 || {
        printf 'capsule build: %s: another build is at it, waiting\n' "$name" >&2
        flock 9
    }
    [ -d "$result" ] || recipe_build "$name" "$function"
    exec 9>&-
}

# A result that must stay what it is because of its name alone: the file FILE with digest SHA256, put there by
# the function given. Sets $result to the file.
recipe_fetch() {
    local file=$1 sha256=$2 function=$3
    fetch_file=$file fetch_sha256=$sha256 fetch_function=$function
    result=$cache/fetch-$sha256
    if [ ! -f "$result/$file" ]; then
        exec 9>"$cache/fetch.lock"
        flock 9
        [ -f "$result/$file" ] || recipe_build "fetch-$file" recipe_fetch_checked
        exec 9>&-
    fi
    result=$result/$file
}

recipe_fetch_checked() {
    hint "check the network and the package sources, then make again"
    "$fetch_function"
    step "check the digest of $fetch_file"
    hint "the file differs from the one that was pinned; if the package has a new version, pin that in the recipe"
    printf '%s  %s\n' "$fetch_sha256" "$out/$fetch_file" | sha256sum -c -
}
