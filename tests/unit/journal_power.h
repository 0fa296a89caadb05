/* A disk that loses power: what SQLite and the journal write is recorded, with what was synced, and can be laid out at any moment as a disk could have it
 * after the power went: all that was synced, and of the rest any part in any order.
 *
 * SQLite's files are seen by a VFS that becomes the default one; files of the journal's own by fsync, renameat and mkdirat, which this file defines in the
 * C library's place. Only what lies below the folder given to power_watch is recorded. Thread-safe. */
#ifndef TESTS_JOURNAL_POWER_H
#define TESTS_JOURNAL_POWER_H

#include <stdbool.h>

/* Once per process, before SQLite is used. */
void power_install(void);
/* Records what happens below a folder that's still empty; forgets what was recorded before. NULL: nothing. */
void power_watch(const char *folder);

/* Lays a disk out in a new folder `to`, as if the power had gone at the n-th next write or sync of SQLite's, or when `give_up` returns true; before that calls
 * `note` at that very moment. False if given up. */
bool power_lose(const char *to, unsigned n, unsigned seed, void (*note)(void *user), bool (*give_up)(void *user),
                void *user);

#endif
