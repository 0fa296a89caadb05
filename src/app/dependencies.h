/* What an application image was made from, so that it's made again exactly when that changed.
 *
 * While a module is imported, the sandbox reports each file it read, each folder it listed and each path it looked for in vain; of a
 * bundle, app/bundle.h says what it was made from. They are written to the index entry with size, mtime (ns), ctime, inode and a
 * content digest (file), a digest of the names that matter (folder, see below), or "absent". To check: stat each one; only where the
 * stat differs is the content or listing digested again.
 *
 * Of a folder that Python imports from, folders and *.py matter. Of one that a bundle's imports are looked for in: folders, the extensions
 * of TypeScript, JavaScript and JSON, names without any extension (an import means them first), Yarn's .pnp files, and where symlinks
 * lead. Other dot names and __pycache__ never do.
 *
 * What is recorded must be what the guest saw, so a dependency is looked at twice: when it's reported (call dependencies_add before
 * the guest reads) and when the list is sealed. If it may have changed in between, the record is one that never matches. */
#ifndef APP_DEPENDENCIES_H
#define APP_DEPENDENCIES_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include <stdbool.h>

enum dependency_kind {
    DEPENDENCY_FILE,
    DEPENDENCY_FOLDER, /* of Python modules */
    DEPENDENCY_FOLDER_JS,
    DEPENDENCY_ABSENT
};

struct dependencies;

struct dependencies *dependencies_new(void);
void dependencies_free(struct dependencies *d);
/* host: absolute path. Repeats are ignored (a FILE or FOLDER overrides an earlier ABSENT). ERROR_LIMIT beyond 100,000. */
int dependencies_add(struct dependencies *d, enum dependency_kind kind, const char *host, struct error *err);
/* Fills in digests from the file system as it is now. A timestamp within 10 ms of `started_ns` (wall clock, when the import
 * began) or of the report can't be told from a later one: such a file gets no trusted stat, so the next check digests it again. */
int dependencies_seal(struct dependencies *d, uint64_t started_ns, struct error *err);
/* Appends a JSON array. */
int dependencies_write(const struct dependencies *d, struct buffer *to);
/* True when nothing changed. *ret_touched: some stats differ though contents don't, so that rewriting the entry (dependencies_read,
 * then dependencies_seal, then dependencies_write) makes the next check cheap. */
bool dependencies_unchanged(const json_value *array, bool *ret_touched);
/* Enters a recorded list with its digests into d, to be sealed anew; what no longer has its digest then is recorded as never
 * matching. ERROR_CORRUPT or ERROR_NOMEM. */
int dependencies_read(struct dependencies *d, const json_value *array);

#endif
