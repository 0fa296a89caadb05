/* Owns yyjson: parsing, reading and writing of JSON.
 *
 * Invariant: no document nests deeper than JSON_DEPTH_MAX. yyjson reads and writes without recursion, so depth costs it no
 * stack; the limit is for whoever walks a document, guests included. A json_value is a yyjson_val under another name.
 * Thread rule: a document is never written to after json_parse, so any thread may read it. */
#define _GNU_SOURCE 1
#include "base/json.h"

#include "base/fault.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

struct json_document {
    yyjson_doc *doc;
};

static yyjson_val *val_of(const json_value *v) {
    /* yyjson's accessors take pointers to non-const and don't write. */
    return (yyjson_val *)(uintptr_t)v;
}

static const json_value *value_of(const yyjson_val *v) {
    return (const json_value *)(const void *)v;
}

/* The values of a document lie in one array, each container before its contents; so depth is found in one sweep. */
static bool depth_allowed(yyjson_doc *doc) {
    const yyjson_val *ends[JSON_DEPTH_MAX];
    size_t depth = 0;
    yyjson_val *root = yyjson_doc_get_root(doc);
    const yyjson_val *end = root + yyjson_doc_get_val_count(doc);
    for (yyjson_val *v = root; v < end; v++) {
        while (depth > 0 && v >= ends[depth - 1])
            depth--;
        if (!unsafe_yyjson_is_ctn(v))
            continue;
        if (depth == JSON_DEPTH_MAX)
            return false;
        ends[depth++] = unsafe_yyjson_get_next(v);
    }
    return true;
}

static int set_read_error(struct error *err, const char *text, const yyjson_read_err *failure) {
    if (failure->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return error_set(err, ERROR_NOMEM, "out of memory while reading JSON");
    size_t line = 1, column = 1;
    for (size_t i = 0; i < failure->pos; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return error_set(err, ERROR_INVALID, "not JSON at line %zu, column %zu: %s", line, column, failure->msg);
}

int json_parse(const char *text, size_t n, struct json_document **ret, struct error *err) {
    if (n == 0)
        return error_set(err, ERROR_INVALID, "not JSON: the text is empty");
    yyjson_read_err failure;
    /* Without YYJSON_READ_INSITU the text is only read. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text, n, YYJSON_READ_BIGNUM_AS_RAW, NULL, &failure);
    if (!doc)
        return set_read_error(err, text, &failure);
    if (!depth_allowed(doc)) {
        yyjson_doc_free(doc);
        return error_set(err, ERROR_INVALID, "the JSON is nested deeper than %d levels", JSON_DEPTH_MAX);
    }
    struct json_document *d = FAULT("json.document") ? NULL : malloc(sizeof *d);
    if (!d) {
        yyjson_doc_free(doc);
        return error_set(err, ERROR_NOMEM, "out of memory while reading JSON");
    }
    d->doc = doc;
    *ret = d;
    return 0;
}

void json_free(struct json_document *d) {
    if (!d)
        return;
    yyjson_doc_free(d->doc);
    free(d);
}

void json_cleanup(struct json_document **d) {
    json_free(*d);
}

const json_value *json_root(const struct json_document *d) {
    return d ? value_of(yyjson_doc_get_root(d->doc)) : NULL;
}

bool json_valid(const char *text, size_t n) {
    struct json_document *d;
    if (json_parse(text, n, &d, NULL))
        return false;
    json_free(d);
    return true;
}

enum json_type json_type(const json_value *v) {
    switch (yyjson_get_type(val_of(v))) {
    case YYJSON_TYPE_NULL:
        return JSON_NULL;
    case YYJSON_TYPE_BOOL:
        return JSON_BOOL;
    case YYJSON_TYPE_RAW: /* a number beyond 64 bits */
    case YYJSON_TYPE_NUM:
        return JSON_NUMBER;
    case YYJSON_TYPE_STR:
        return JSON_STRING;
    case YYJSON_TYPE_ARR:
        return JSON_ARRAY;
    case YYJSON_TYPE_OBJ:
        return JSON_OBJECT;
    default:
        return JSON_NONE;
    }
}

const json_value *json_get(const json_value *object, const char *key) {
    return value_of(yyjson_obj_get(val_of(object), key));
}

const json_value *json_at(const json_value *array, size_t i) {
    return value_of(yyjson_arr_get(val_of(array), i));
}

size_t json_size(const json_value *v) {
    return yyjson_get_type(val_of(v)) == YYJSON_TYPE_ARR ? yyjson_arr_size(val_of(v)) : yyjson_obj_size(val_of(v));
}

const char *json_string(const json_value *v, size_t *ret_n) {
    const char *text = yyjson_get_str(val_of(v));
    if (text && ret_n)
        *ret_n = yyjson_get_len(val_of(v));
    return text;
}

const char *json_text(const json_value *v, const char *fallback) {
    size_t n;
    const char *text = json_string(v, &n);
    return text && memchr(text, '\0', n) == NULL ? text : fallback;
}

bool json_bool(const json_value *v, bool fallback) {
    return yyjson_is_bool(val_of(v)) ? yyjson_get_bool(val_of(v)) : fallback;
}

bool json_u64(const json_value *v, uint64_t *ret) {
    if (!yyjson_is_uint(val_of(v)))
        return false;
    *ret = yyjson_get_uint(val_of(v));
    return true;
}

bool json_i64(const json_value *v, int64_t *ret) {
    if (yyjson_is_sint(val_of(v))) {
        *ret = yyjson_get_sint(val_of(v));
        return true;
    }
    uint64_t n;
    if (!json_u64(v, &n) || n > INT64_MAX)
        return false;
    *ret = (int64_t)n;
    return true;
}

double json_number(const json_value *v, double fallback) {
    if (yyjson_is_raw(val_of(v)))
        return strtod(yyjson_get_raw(val_of(v)), NULL);
    return yyjson_is_num(val_of(v)) ? yyjson_get_num(val_of(v)) : fallback;
}

const json_value *json_next(const json_value *object, size_t *cursor, const char **ret_key) {
    yyjson_val *v = val_of(object);
    if (!yyjson_is_obj(v))
        return NULL;
    /* The cursor counts values from the object to the key that comes next. */
    yyjson_val *key = *cursor == 0 ? unsafe_yyjson_get_first(v) : v + *cursor;
    if (yyjson_obj_size(v) == 0 || key >= unsafe_yyjson_get_next(v))
        return NULL;
    *ret_key = yyjson_get_str(key);
    *cursor = (size_t)(unsafe_yyjson_get_next(key + 1) - v);
    return value_of(key + 1);
}

const json_value *json_each(const json_value *array, size_t *cursor) {
    yyjson_val *v = val_of(array);
    if (!yyjson_is_arr(v))
        return NULL;
    yyjson_val *element = *cursor == 0 ? unsafe_yyjson_get_first(v) : v + *cursor;
    if (yyjson_arr_size(v) == 0 || element >= unsafe_yyjson_get_next(v))
        return NULL;
    *cursor = (size_t)(unsafe_yyjson_get_next(element) - v);
    return value_of(element);
}

static int write_flags(const json_value *v, yyjson_write_flag flags, struct buffer *to) {
    size_t n;
    yyjson_write_err failure;
    char *text = FAULT("json.write") ? NULL : yyjson_val_write_opts(val_of(v), flags, NULL, &n, &failure);
    if (!text)
        return v ? ERROR_NOMEM : ERROR_INVALID;
    int status = buffer_append(to, text, n);
    free(text);
    return status;
}

int json_write(const json_value *v, struct buffer *to) {
    return write_flags(v, YYJSON_WRITE_NOFLAG, to);
}

int json_write_pretty(const json_value *v, struct buffer *to) {
    return write_flags(v, YYJSON_WRITE_PRETTY_TWO_SPACES, to);
}

static int write_escape(struct buffer *to, unsigned char c) {
    static const char LETTERS[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof LETTERS; i += 2)
        if ((unsigned char)LETTERS[i] == c)
            return buffer_append(to, (const char[]){'\\', LETTERS[i + 1]}, 2);
    return buffer_printf(to, "\\u%04x", c);
}

static bool is_plain(char c) {
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

int json_write_string(struct buffer *to, const char *text, size_t n) {
    size_t before = to->size;
    int status = buffer_putc(to, '"');
    for (size_t i = 0; i < n && status == 0;) {
        size_t run = i;
        while (run < n && is_plain(text[run]))
            run++;
        if (run > i) {
            status = buffer_append(to, text + i, run - i);
            i = run;
            continue;
        }
        size_t length = utf8_step(text + i, n - i);
        if (length == 0)
            status = buffer_puts(to, "\xEF\xBF\xBD");
        else if (length == 1)
            status = write_escape(to, (unsigned char)text[i]);
        else
            status = buffer_append(to, text + i, length);
        i += length ? length : 1;
    }
    if (status == 0)
        status = buffer_putc(to, '"');
    if (status != 0 && to->data) {
        to->size = before;
        to->data[before] = '\0';
    }
    return status;
}
