/* What a guest is given to load: an application's source as guest_load takes it (guest/abi.h), and what that depends on.
 *
 * A Python program is named by its paths and imported inside the sandbox, where reads are traced. A TypeScript or JavaScript program is
 * bundled before (app/bundle.h) and comes as text. */
#ifndef RUN_PROGRAM_H
#define RUN_PROGRAM_H

#include "app/dependencies.h"
#include "app/project.h"
#include "base/buffer.h"
#include "base/digest.h"

struct program {
    struct buffer header, body;
};

/* Adds what decides, besides the files, how a program is loaded: paths and tools. ERROR_UNSUPPORTED if one is missing. */
int program_digest(const struct project *p, const char *guests_dir, struct digest_state *to, struct error *err);
/* Records in *dependencies what it read. ERROR_IMPORT if the program can't be bundled. */
int program_prepare(const struct project *p, const char *guests_dir, struct dependencies *dependencies,
                    struct program *ret, struct error *err);
void program_done(struct program *program);

#endif
