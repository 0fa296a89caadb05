/* See run_arguments.h. */
#include "run_arguments.h"
#include "base/json.h"
#include "base/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int append_word(struct buffer *to, const char *word, size_t number, struct error *err) {
    const size_t n = strlen(word);
    int rc;
    if (json_valid(word, n))
        rc = buffer_append(to, word, n);
    else if (!utf8_valid(word, n)) /* JSON text can't carry other bytes, and changing them would lose something */
        return error_set(err, ERROR_INVALID, "argument %zu isn't valid UTF-8", number);
    else
        rc = json_write_string(to, word, n);
    if (rc != 0)
        error_set(err, rc, "the arguments are larger than %d MiB", ARGUMENTS_MAX >> 20);
    return rc;
}

int run_arguments_from_words(char *const *words, size_t n, struct run_arguments *ret, struct error *err) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(ARGUMENTS_MAX);
    buffer_putc(&b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buffer_putc(&b, ',');
        int rc = append_word(&b, words[i], i + 1, err);
        if (rc != 0)
            return rc;
    }
    if (buffer_putc(&b, ']') != 0 || (ret->positional = buffer_take(&b)) == NULL)
        return error_set(err, ERROR_NOMEM, "out of memory");
    return 0;
}

static int read_all(int fd, const char *path, struct buffer *to, struct error *err) {
    for (;;) {
        char *room = buffer_reserve(to, 65536);
        if (room == NULL)
            return error_set(err, ERROR_LIMIT, "%s: larger than %d MiB", path, ARGUMENTS_MAX >> 20);
        ssize_t n = read(fd, room, 65536);
        if (n == 0)
            return 0;
        if (n > 0)
            to->size += (size_t)n;
        else if (errno != EINTR)
            return error_errno(err, ERROR_IO, errno, "can't read %s", path);
    }
}

int run_arguments_from_file(const char *path, struct run_arguments *ret, struct error *err) {
    const bool standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    CLEANUP(cleanup_close) int own_fd = standard_input ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (!standard_input && own_fd < 0)
        return error_errno(err, ERROR_IO, errno, "can't open the arguments file %s", path);

    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(ARGUMENTS_MAX + 65536);
    int rc = read_all(standard_input ? STDIN_FILENO : own_fd, name, &b, err);
    if (rc != 0)
        return rc;

    struct error why;
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    rc = json_parse(buffer_text(&b), b.size, &document, &why);
    const enum json_type type = rc == 0 ? json_type(json_root(document)) : JSON_NONE;
    if (rc != 0)
        error_set(err, ERROR_INVALID, "%s: arguments that aren't JSON: %s", name, why.message);
    else if (type != JSON_ARRAY && type != JSON_OBJECT)
        error_set(err, ERROR_INVALID, "%s: arguments must be a JSON array or object", name);
    if (type != JSON_ARRAY && type != JSON_OBJECT) {
        error_hint(
            err,
            "an array holds positional arguments: [\"a\", 2]; an object keyword arguments: {\"name\": \"a\"}");
        return ERROR_INVALID;
    }
    char *text = buffer_take(&b);
    if (text == NULL)
        return error_set(err, ERROR_NOMEM, "out of memory");
    *(type == JSON_ARRAY ? &ret->positional : &ret->keywords) = text;
    return 0;
}

void run_arguments_done(struct run_arguments *a) {
    free(a->positional);
    free(a->keywords);
    *a = (struct run_arguments){0};
}
