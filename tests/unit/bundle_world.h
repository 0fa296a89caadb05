/* What the tests of bundles share: a real esbuild, a program in a scratch folder, what its bundling gave. */
#ifndef TESTS_BUNDLE_WORLD_H
#define TESTS_BUNDLE_WORLD_H

#include "app/bundle.h"
#include "base/json.h"

extern char *esbuild; /* the real one */

/* Of a group of tests: finds esbuild in $CAPSULE_GUESTS or as bundle.h says. Without it the tests fail. */
int find_esbuild(void **state);
int forget_esbuild(void **state);
/* Of a test: *state is its scratch folder. */
int make_folder(void **state);
int drop_folder(void **state);

struct outcome {
    int status;
    struct bundle bundle;
    struct error err;
    struct json_document *dependencies; /* as the index has them */
};
void outcome_done(struct outcome *o);
/* given: without a project. */
struct outcome make_with(const struct bundle_options *given, const char *folder, const char *entry);
struct outcome make_bundle(const char *folder, const char *entry);
struct outcome make_good(const char *folder, const char *entry); /* fails unless it's good */

/* Replaces what's there by a symlink. */
void link_to(const char *folder, const char *name, const char *target);
/* ws/: packages/lib, and node_modules with a link to it and a package as pnpm puts it. */
void make_workspace(const char *folder);

#endif
