/* The private cache: images and native code that this installation wrote, and nothing else.
 *
 * Layout of the cache folder (0700, owned by the user; refused otherwise):
 *   key             32 random bytes, 0400, made once: keys all digests
 *   objects/NAME    immutable files (0400): "HEX.image", "HEX.cwasm"
 *   objects/NAME.seal   sealed document: {"size","digest","dev","ino","mtime","ctime","boot"}. Its own mtime is the object's last
 *                   use, to ten seconds
 *   index/HEX.json  sealed document: what an application image depends on (app/dependencies.h) with its task registry; its member
 *                   "object", a string, names the object that it's about
 *   tmp/            files being written, flocked by their writer: PID.RANDOM; those of dead processes are removed by prune
 *   lock/           flock files, one per key being built
 * A sealed document is a JSON text, "\n", the mac in hexadecimal and "\n". The mac is the keyed digest of folder, name and text, so
 * a document can't be changed or moved to another name without the key.
 *
 * An object is taken without reading it through when its identity (device, inode, mtime, ctime, size, boot id) is the one
 * sealed: any write, truncation or replacement changes ctime. If not, it's digested again: equal: resealed; different: removed
 * and reported absent, so that it's built anew. An object is written to tmp/, renamed, then sealed: no fsync, because after a
 * power loss the boot id differs and the digest decides.
 * Thread- and process-safe. */
#ifndef APP_CACHE_H
#define APP_CACHE_H

#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

struct cache;

/* dir: or NULL: $CAPSULE_CACHE, else $XDG_CACHE_HOME/capsule, else $HOME/.cache/capsule; if $HOME is unset too, the home of the
 * user database; if that fails an error with a hint. Creates it. If it can't be written (read-only, full disk) but can
 * be read, it opens for reading: cache_writable is false. */
int cache_open(const char *dir, struct cache **ret, struct error *err);
void cache_close(struct cache *c);
const char *cache_dir(const struct cache *c);
bool cache_writable(const struct cache *c);
/* From now on nothing is written: for a caller whose write to cache_begin's descriptor failed (a full disk) and who begins
 * again, then in memory. */
void cache_stop_writing(struct cache *c);

/* Opens object NAME for reading. ERROR_NOT_FOUND when absent or found corrupt (then removed). Touches its access time
 * (for prune) at most every ten seconds. ret_path, if not NULL, gets a malloc'd path for interfaces that open by name; it leads to the very
 * file that was checked ("/proc/self/fd/N") and so is good for as long as *ret_fd is open. */
int cache_take(struct cache *c, const char *name, int *ret_fd, char **ret_path, struct error *err);

/* Writing an object: cache_begin gives a file descriptor (read-write, empty) for a temporary; cache_commit names and seals it,
 * keeping an equal one that another process put there meanwhile; cache_abort removes it. When the cache is not writable the
 * temporary is a memfd and commit only hands it back: in all cases ret_fd is a read-only fd of the finished object. commit frees w
 * even when it fails; a disk that refuses rename or seal isn't a failure, the object is then just not kept. */
struct cache_write;
int cache_begin(struct cache *c, struct cache_write **ret, int *ret_fd, struct error *err);
int cache_commit(struct cache_write *w, const char *name, int *ret_fd, char **ret_path, struct error *err);
void cache_abort(struct cache_write *w);
/* For an object that is cheap to build again: commit doesn't digest it (1.7 ms per MB), so after a restart of the machine, or any
 * other change of identity, it's absent. */
void cache_write_disposable(struct cache_write *w);

/* Small sealed documents under index/: read gives ERROR_NOT_FOUND if absent or its mac is wrong. Writes are atomic;
 * they do nothing when the cache isn't writable. */
int cache_read_index(struct cache *c, const char *name, struct buffer *ret, struct error *err);
int cache_write_index(struct cache *c, const char *name, const char *text, size_t n, struct error *err);

/* A digest of a text that only this cache's owner can make, the same each time. */
void cache_keyed_digest(const struct cache *c, const void *text, size_t n, uint8_t ret[DIGEST_SIZE]);

/* An exclusive lock on a name, held while something is built so that two processes don't build it twice; waits. The kernel drops
 * it when the process dies. *ret_fd is closed to unlock; -1 when the cache isn't writable. */
int cache_lock(struct cache *c, const char *name, int *ret_fd, struct error *err);

struct cache_usage {
    uint64_t bytes, objects, removed_bytes, removed_objects;
};
/* Drops the least recently used objects until at most max_bytes remain (0: all), stale temporaries, and indexes that point
 * to missing objects. Objects in use stay usable: they're open or mapped. ret may be NULL. */
int cache_prune(struct cache *c, uint64_t max_bytes, struct cache_usage *ret, struct error *err);
int cache_measure(struct cache *c, struct cache_usage *ret, struct error *err);

#endif
