/* What an application image was made from, so that it's made again exactly when that changed.
 *
 * While a module is imported, the sandbox reports each file it read, each folder it listed and each path it looked for in vain, as
 * guest paths below a mount. They are written to the index entry with size, mtime (ns), inode and a content digest (file), a
 * digest of the names that the guest could see (folder), or "absent". To check: stat each one; only where the stat differs is the
 * content or listing digested again. */
#ifndef APP_DEPENDENCIES_H
#define APP_DEPENDENCIES_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include <stdbool.h>

enum dependency_kind { DEPENDENCY_FILE, DEPENDENCY_FOLDER, DEPENDENCY_ABSENT };

struct dependencies;

struct dependencies *dependencies_new(void);
void dependencies_free(struct dependencies *d);
/* host: absolute path. Repeats are ignored (a FILE or FOLDER overrides an earlier ABSENT). */
int dependencies_add(struct dependencies *d, enum dependency_kind kind, const char *host, struct error *err);
/* Fills in stats and digests from the file system as it is now. A file that changed while it was being imported (its mtime is
 * later than `started_ns`, wall clock, minus 10 ms) is digested but given no trusted stat, so the next check digests it again. */
int dependencies_seal(struct dependencies *d, uint64_t started_ns, struct error *err);
/* Appends a JSON array. */
int dependencies_write(const struct dependencies *d, struct buffer *to);
/* True when nothing changed. *ret_touched: some stats differ though contents don't, so that rewriting the entry (dependencies
 * re-read by dependencies_read + seal) makes the next check cheap. */
/* Adds the kinds and paths of such an array, without what was sealed. */
int dependencies_read(struct dependencies *d, const json_value *array);
bool dependencies_unchanged(const json_value *array, bool *ret_touched);

#endif
