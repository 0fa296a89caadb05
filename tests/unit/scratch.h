/* A temporary folder for a test, and short ways to fill it. Failures of the host end the test. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* A new empty folder; absolute, without symlinks. */
char *scratch_new(void);
/* Removes it with all that's in it, whatever its permissions, and frees the path. */
void scratch_free(char *folder);

/* folder/name. The buffer is one of eight that take turns. */
const char *scratch_path(const char *folder, const char *name);
/* Makes folder/name with this text, and the folders above it. */
void scratch_write(const char *folder, const char *name, const char *text);
void scratch_write_bytes(const char *folder, const char *name, const void *bytes, size_t n);
void scratch_mkdir(const char *folder, const char *name);
bool scratch_exists(const char *folder, const char *name);
/* Number of names in folder/name, "." and ".." left out. */
size_t scratch_count(const char *folder, const char *name);

/* Until what was written so far has timestamps that can be told from later ones. */
void scratch_settle(void);

/* Runs a function in a forked process, as user `uid` unless that's 0; returns its exit code, or 128 + signal. */
int scratch_fork(unsigned uid, int (*function)(void *), void *argument);

#endif
