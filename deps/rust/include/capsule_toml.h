/* A TOML reader for C: parses a document (TOML 1.1) and returns it as JSON with line numbers.
 *
 *   [workflow]                    {"workflow": {"line": 1, "table": {
 *   name = "report"                  "name":   {"line": 2, "value": "report"},
 *   paths = ["a", "b"]               "paths":  {"line": 3, "value": ["a", "b"]}}}}
 *
 * The document and every table are objects whose members are wrapped: {"line": N, "table": {…}} for a table
 * (also an inline one), {"line": N, "value": …} for anything else. "line" is the key's, counted from 1. Inside
 * "value" is plain JSON; an array of tables is a plain array. A date or time is a string.
 *
 * Thread rule: no shared state; any thread, any time. */
#ifndef CAPSULE_TOML_H
#define CAPSULE_TOML_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0: *ret_json holds *ret_len bytes of JSON, not NUL-terminated, to be freed with capsule_toml_free.
 * Nonzero: err holds a message of one line (cut to err_cap, NUL-terminated), *err_line the line it is about;
 * *ret_json and *ret_len are untouched. Memory and time grow with len, so bound len first. */
int32_t capsule_toml_to_json(const char *text, size_t len, char **ret_json, size_t *ret_len, char *err,
                             size_t err_cap, uint32_t *err_line);

/* NULL is allowed. */
void capsule_toml_free(char *json, size_t len);

#ifdef __cplusplus
}
#endif

#endif
