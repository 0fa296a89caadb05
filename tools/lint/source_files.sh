# Lists our own files (sourced): those known to git and new ones, never what is ignored.
#   source_files PATTERN…
source_files() {
    git ls-files -co --exclude-standard -- "$@" | while IFS= read -r file; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done
}
