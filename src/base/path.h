/* Paths as text. Nothing here touches the file system. POSIX separators; names are bytes, never interpreted. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum { PATH_LENGTH_MAX = 4096 };

/* Lexical normalisation of base joined with path (an absolute path ignores base): no "//", "." or "..", no trailing
 * slash; ".." above the root stays at the root. base must be absolute. Returns the length, or a negative error code
 * (ERROR_LIMIT) if it doesn't fit into capacity. */
int path_normalize(const char *base, const char *path, char *ret, size_t capacity);

/* If path is prefix or lies below it, returns the rest without a leading slash ("" for equal), else NULL. Both
 * normalised and absolute. */
const char *path_below(const char *path, const char *prefix);

/* After the last slash. */
const char *path_base(const char *path);
/* Length of the part before the last slash (1 for "/x"; 0 if there is none). */
size_t path_dir_length(const char *path);
bool path_ends_with(const char *path, const char *suffix);

#endif
