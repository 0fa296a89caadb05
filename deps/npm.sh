# Packages from npm (bash; sourced after recipe.sh).

npm_check() {
    command -v npm >/dev/null && command -v node >/dev/null ||
        recipe_die "npm is not here: the JavaScript guest's runtime and esbuild come from npm packages" \
            "try: apt-get install --no-install-recommends nodejs npm"
}

npm_install_recipe() {
    step "install the pinned packages from npm"
    hint "npm view esbuild   (to see whether npm reaches its registry)"
    cp "$npm_folder/package.json" "$npm_folder/package-lock.json" .
    # Scripts of packages don't run; npm checks each package against the digest in the lock file.
    npm ci --ignore-scripts --no-audit --no-fund --cache "$PWD/.npm"
    mv node_modules "$out/node_modules"
}

# npm_packages NAME FOLDER: installs what FOLDER/package-lock.json pins; sets $result to a folder with node_modules in it.
npm_packages() {
    npm_folder=$2
    recipe "$1" npm_install_recipe "file:$2/package.json" "file:$2/package-lock.json"
}
