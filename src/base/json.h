/* JSON: the only file that includes yyjson. Reading gives an immutable document; values point into it.
 *
 * Reading is strict RFC 8259 (UTF-8 checked, no comments, no NaN), depth at most JSON_DEPTH_MAX. Numbers that don't
 * fit 64 bits are kept as they were written. Thread rule: a document may be read by many threads at once. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buffer.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 512 };

struct json_document;
/* One value of a document. A NULL handle is "not there": every function below accepts it. */
typedef struct json_value_opaque json_value;

enum json_type { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* ERROR_INVALID with the position in the message. The text isn't kept. */
int json_parse(const char *text, size_t n, struct json_document **ret, struct error *err);
void json_free(struct json_document *d);
void json_cleanup(struct json_document **d);
const json_value *json_root(const struct json_document *d);
/* True when text[0..n) is one JSON value by the rules above. */
bool json_valid(const char *text, size_t n);

enum json_type json_type(const json_value *v);
const json_value *json_get(const json_value *object, const char *key); /* NULL if absent or not an object */
const json_value *json_at(const json_value *array, size_t i);          /* NULL if out of range */
size_t json_size(const json_value *v);                                 /* members or elements */
const char *json_string(const json_value *v,
                        size_t *ret_n); /* NULL if not a string; may hold NUL bytes: see ret_n */
const char *json_text(const json_value *v,
                      const char *fallback); /* fallback if not a string or if it holds a NUL */
bool json_bool(const json_value *v, bool fallback);
/* False unless v is an integer in range. */
bool json_u64(const json_value *v, uint64_t *ret);
bool json_i64(const json_value *v, int64_t *ret);
double json_number(const json_value *v, double fallback);
/* Iteration over an object: starts with *cursor = 0; returns the value and sets *ret_key, NULL at the end.
 * A key that holds a NUL looks shorter than it is; refuse such documents where that matters. */
const json_value *json_next(const json_value *object, size_t *cursor, const char **ret_key);

/* The same over an array, where json_at would search from the start each time. */
const json_value *json_each(const json_value *array, size_t *cursor);

/* Appends v as compact JSON. */
int json_write(const json_value *v, struct buffer *to);
/* Appends a JSON string literal; bytes that aren't UTF-8 become U+FFFD. */
int json_write_string(struct buffer *to, const char *text, size_t n);
/* Appends v indented by two spaces, as a person reads it. */
int json_write_pretty(const json_value *v, struct buffer *to);

#endif
