# Lists our own C files (sourced): those known to git and new ones, never what is ignored.
c_files() {
    git ls-files -co --exclude-standard -- '*.c' '*.h' | while IFS= read -r file; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done
}
