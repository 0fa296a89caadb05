/* A TypeScript or JavaScript program as one ES module, made by esbuild on the host.
 *
 * What goes in: the entry file and what it imports: TypeScript, JSX, JavaScript and JSON of the project, packages of node_modules (with their
 * `exports`, conditions "capsule", "browser", "module", "import", "require", "default", and their `browser` fields), packages of the
 * workspace, and what the manifest's [js] paths name. tsconfig.json is followed. `@capsule-run/sdk` (and below) stays an import: the guest has it.
 * What comes out: one text, not minified, function names kept, syntax of ES2024, and its source map.
 *
 * The wall. esbuild reads the host's files, and what it reads ends up in a sandbox. A program that nobody has read could import
 * "/root/.docker/config.json", "../../other/x.json" or either through a symlink, a tsconfig's paths or a package's exports. So before the bundle is
 * used, each file that esbuild read must be, by its real path, below the project's root, a node_modules folder that lies in the root or
 * in a folder above it (itself no symlink, and nobody else's), the root of the workspace that the project belongs to (nearest folder at or above
 * it whose package.json has "workspaces", or with a pnpm-workspace.yaml; nobody else's), or one of [js] paths. It must have the extension of source text or
 * JSON, and no name with a leading dot but a folder directly in a node_modules folder (pnpm's). Imported as what its extension says,
 * or as JSON: never as text or bytes. Paths that esbuild reads otherwise than the kernel does (Yarn's "__virtual__", archives, backslashes) are
 * refused, and a file must be as long as what esbuild read.
 *   That a file isn't exchanged between esbuild's reading and our check is seen by the kernel's change times, which no program can set back:
 * every input, and every folder on the way to it from the place that allows it, must be unchanged since before esbuild began, else it's done again. (A
 * clock that was set back, and network file systems whose clock isn't ours, weaken this.)
 *   Not checked, because no content of theirs gets into the bundle: tsconfig.json and what it extends (their options do), package.json, source maps that
 * inputs name (file and variable names of a valid source map do, for tracebacks). Messages of esbuild show lines of source to the user alone.
 *
 * The tool. $CAPSULE_ESBUILD, else `esbuild` in the installation's lib folder, else in an absolute folder of PATH. Never from node_modules,
 * also not when PATH says so (npm puts the project's own there): a program that nobody has read could have planted it, and it runs outside of any
 * sandbox. It gets PATH without such folders, HOME, and nothing else of the environment (NODE_PATH would add places to import from, NODE_OPTIONS code
 * to node), a time limit, a size limit, and dies when we do. Nothing is written to disk: its output goes to memory files by their names in /dev/fd.
 *
 * Errors of esbuild are told in our words where we know better (Node's built-in modules, packages that aren't installed); what isn't
 * understood is shown as it is. Warnings are dropped: what they warn of is a matter of taste, or fails when it runs.
 *
 * Thread rule: any thread; a call waits for esbuild (30 ms for a small program). */
#ifndef APP_BUNDLE_H
#define APP_BUNDLE_H

#include "app/dependencies.h"
#include "app/project.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUNDLE_SDK "@capsule-run/sdk"

struct bundle_options {
    const struct project *project;
    const char *esbuild;             /* from bundle_find */
    uint64_t timeout_ns;             /* of esbuild; 0: 60 seconds */
    bool (*interrupted)(void *user); /* asked now and then while waiting; may be NULL */
    void *user;
};

struct bundle {
    char *code; /* NUL-terminated */
    size_t code_n;
    char *map; /* JSON, source map v3; `sources` relative to the project's root */
    size_t map_n;
};

/* The absolute path of esbuild, malloc'd. ERROR_UNSUPPORTED, with a hint how to get it. */
int bundle_find(const char *lib_folder, char **ret_path, struct error *err);
/* What a bundle depends on besides deps: the tool and how it's called, as a short text for a cache key, malloc'd. */
int bundle_identity(const char *esbuild, char **ret, struct error *err);
/* Adds to deps what was read and what would change how an import is resolved; seal them with a time before this call.
 * ERROR_IMPORT: the program's fault, refused, or told to stop by its limits; ERROR_CANCELLED: interrupted; ERROR_UNSUPPORTED, ERROR_IO, ERROR_NOMEM, ERROR_LIMIT. */
int bundle_make(const struct bundle_options *o, struct bundle *ret, struct dependencies *deps, struct error *err);
void bundle_done(struct bundle *b);

#endif
