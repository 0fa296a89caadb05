/* What the files of a bundle share; see bundle.h for what they do together. */
#ifndef APP_BUNDLE_INTERNAL_H
#define APP_BUNDLE_INTERNAL_H

#include "app/bundle.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/path.h"
#include <sys/types.h>

enum {
    BUNDLE_OUTPUT_MAX = 64 * 1024 * 1024, /* of the code with its map, and of the metafile */
    BUNDLE_MESSAGES_MAX = 256 * 1024,
    BUNDLE_ERRORS_SHOWN = 10
};

/* ---- bundle_process.c: esbuild, run once ---- */

struct bundle_output {
    struct buffer code, metafile, messages;
    bool good; /* exit code 0 */
};
int bundle_run(const struct bundle_options *o, struct bundle_output *ret, struct error *err);
void bundle_output_done(struct bundle_output *output);
/* True unless folder is relative or in a node_modules folder: esbuild and node may be taken from there. */
bool bundle_path_entry_good(const char *folder, size_t n);

/* ---- bundle_messages.c: what esbuild says, for people ---- */

/* Sets err from esbuild's messages. Returns ERROR_IMPORT. */
int bundle_explain(const struct project *p, const char *text, size_t n, struct error *err);

/* Appends text without the control characters that a program may have put into names and source. What doesn't fit is left out. */
void bundle_put_clean(struct buffer *to, const char *text, size_t n);

/* ---- bundle_builtins.c: Node's built-in modules ---- */

/* What to use instead of a built-in module, or NULL if `name` (with or without "node:") isn't one. */
const char *bundle_builtin(const char *name);

/* ---- bundle_places.c: where inputs may lie ---- */

struct bundle_places {
    char root[PATH_LENGTH_MAX];
    struct string_list folders;      /* real paths: what lies below is allowed */
    struct string_list node_modules; /* likewise, and names with dots are allowed directly in it */
};
int bundle_places_find(const struct project *p, struct bundle_places *ret, struct error *err);
void bundle_places_done(struct bundle_places *places);
/* The allowed folder that real lies in (the outermost, if they nest), or NULL. */
const char *bundle_place_of(const struct bundle_places *places, const char *real);

/* ---- bundle_inputs.c: the metafile ---- */

/* The host path of an input, from its key. False: there's no such file behind it (a data: URL, a module that a `browser` field disables). */
bool bundle_input_path(const struct bundle_places *places, const char *key, char ret[PATH_LENGTH_MAX]);
/* The wall. ERROR_IMPORT names each input that isn't allowed. *ret_changed: one isn't as long as what esbuild read. */
int bundle_inputs_check(const struct bundle_places *places, const json_value *metafile, bool *ret_changed,
                        struct error *err);

/* ---- bundle_trail.c: what an import's resolution depends on ---- */

/* Records all of it in deps. *ret_stable: none of it changed since `since` (CLOCK_REALTIME_COARSE, ns). */
int bundle_trail_record(const struct bundle_places *places, const json_value *metafile, uint64_t since,
                        struct dependencies *deps, bool *ret_stable, struct error *err);

/* ---- bundle_tsconfig.c ---- */

/* Comments and trailing commas removed, as tsconfig.json may have them; other bytes stay in place. */
void bundle_strip_comments(char *text, size_t n);

/* ---- bundle_map.c ---- */

/* Splits esbuild's output into code and map, with the map's sources relative to root. */
int bundle_split(struct buffer *output, const char *root, const json_value *metafile, struct bundle *ret,
                 struct error *err);

#endif
