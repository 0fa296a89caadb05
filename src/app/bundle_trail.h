/* Between bundle_trail.c and bundle_tsconfig.c: the recording of what a bundle depends on. */
#ifndef APP_BUNDLE_TRAIL_H
#define APP_BUNDLE_TRAIL_H

#include "app/bundle_internal.h"

struct trail {
    const struct bundle_places *places;
    struct dependencies *deps;
    uint64_t since; /* when esbuild began, by the clock that files are stamped with */
    struct error *err;
    int status;                                /* the first failure; nothing is done after it */
    bool unstable;                             /* something changed since then */
    struct string_list folders, ways, imports; /* dealt with */
    struct string_list packages, configs;      /* package.json and tsconfig.json files, to be read in turn */
    struct string_list globs;                  /* folders, likewise */
    struct string_list names;                  /* of packages, as the project's own files import them */
    size_t paths_done;                         /* of configs, by trail_paths */
};

/* folder and all above it: what decides how imports of a file in it are resolved. */
void trail_folder(struct trail *t, const char *folder);
/* Whatever would have to change for path, with an extension or as a folder, to mean another file. */
void trail_way(struct trail *t, const char *path);
/* Where a package is looked for from folder upwards. */
void trail_package(struct trail *t, const char *folder, const char *original);

/* Records a file and puts it at the end of a list. */
void trail_later(struct trail *t, struct string_list *l, const char *path);

/* bundle_tsconfig.c. NULL unless it can be read; comments: and trailing commas are allowed. */
struct json_document *trail_read_json(const char *path, bool comments);
/* Records what the configuration at path extends. */
void trail_tsconfig(struct trail *t, const char *path);
/* The ways that the paths and baseUrl of the configurations offer to the project's imports. False: there was nothing new. */
bool trail_paths(struct trail *t);

#endif
