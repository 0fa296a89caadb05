/* Owns the `.env` file of a project: reading, its grammar, and who wins against the process's environment.
 *
 * Values are never shown in a message: they're secrets. Thread rule: a struct dotenv is constant after dotenv_read. */
#define _GNU_SOURCE 1
#include "app/project.h"
#include "base/buffer.h"
#include "base/fault.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DOTENV_MAX = 1024 * 1024 };

struct dotenv {
    struct string_list names, values; /* in pairs */
};

struct reader {
    const char *p, *end; /* *end is NUL */
    unsigned line;
};

static int malformed(unsigned line, const char *what, struct error *err) {
    error_set(err, ERROR_PROJECT, ".env:%u: %s", line, what);
    error_hint(err, "write NAME=value; put values that have spaces or # into double quotes");
    return ERROR_PROJECT;
}

static void skip_blanks(struct reader *r) {
    while (*r->p == ' ' || *r->p == '\t' || *r->p == '\r')
        r->p++;
}

/* A name as a shell would take it, or one with "." or "-", which other tools write; tasks just can't ask for those. */
static size_t name_length(const char *p) {
    return strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
}

static char unescape(char c) {
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '"':
    case '\\':
    case '$':
        return c;
    default:
        return '\0';
    }
}

/* After the opening quote, up to and with the closing one. */
static int read_quoted(struct reader *r, char quote, struct buffer *value, struct error *err) {
    unsigned first = r->line;
    for (; *r->p != quote; r->p++) {
        if (r->p >= r->end)
            return malformed(first, "a quote isn't closed", err);
        char c = *r->p, escaped = quote == '"' && c == '\\' ? unescape(r->p[1]) : '\0';
        if (escaped) {
            r->p++;
            c = escaped;
        }
        r->line += *r->p == '\n';
        if (buffer_putc(value, c))
            return error_set(err, ERROR_NOMEM, "out of memory while reading .env");
    }
    r->p++;
    return 0;
}

/* Up to the end of the line or a comment, without the blanks before it. */
static int read_plain(struct reader *r, struct buffer *value, struct error *err) {
    const char *start = r->p, *end = start;
    for (; *r->p != '\n' && r->p < r->end; r->p++) {
        bool blank = *r->p == ' ' || *r->p == '\t' || *r->p == '\r';
        if (*r->p == '#' && (r->p == start || r->p[-1] == ' ' || r->p[-1] == '\t'))
            break;
        if (!blank)
            end = r->p + 1;
    }
    while (*r->p != '\n' && r->p < r->end)
        r->p++;
    if (buffer_append(value, start, (size_t)(end - start)))
        return error_set(err, ERROR_NOMEM, "out of memory while reading .env");
    return 0;
}

static int read_value(struct reader *r, struct buffer *value, struct error *err) {
    skip_blanks(r);
    if (*r->p != '"' && *r->p != '\'')
        return read_plain(r, value, err);
    char quote = *r->p++;
    int status = read_quoted(r, quote, value, err);
    if (status)
        return status;
    skip_blanks(r);
    if (*r->p == '#')
        r->p += strcspn(r->p, "\n");
    return *r->p == '\n' || r->p >= r->end ? 0 : malformed(r->line, "there's text after the closing quote", err);
}

static int add(struct dotenv *d, const char *name, size_t n, const struct buffer *value, struct error *err) {
    CLEANUP(cleanup_free) char *copy = strndup(name, n);
    if (!copy || string_list_add(&d->names, copy) || string_list_add(&d->values, buffer_text(value)))
        return error_set(err, ERROR_NOMEM, "out of memory while reading .env");
    return 0;
}

/* One line: blank, a comment or NAME=VALUE. */
static int read_line(struct reader *r, struct dotenv *d, struct error *err) {
    skip_blanks(r);
    if (strncmp(r->p, "export", 6) == 0 && (r->p[6] == ' ' || r->p[6] == '\t')) {
        r->p += 6;
        skip_blanks(r);
    }
    if (*r->p == '#')
        r->p += strcspn(r->p, "\n");
    if (*r->p == '\n' || r->p >= r->end)
        return 0;
    const char *name = r->p;
    size_t n = name_length(name);
    r->p += n;
    skip_blanks(r);
    if (n == 0 || *r->p != '=')
        return malformed(r->line, "expected NAME=value", err);
    r->p++;
    CLEANUP(buffer_done) struct buffer value = BUFFER_INIT(DOTENV_MAX);
    int status = read_value(r, &value, err);
    return status ? status : add(d, name, n, &value, err);
}

static int parse(const struct buffer *text, struct dotenv *d, struct error *err) {
    struct reader r = {.p = buffer_text(text), .line = 1};
    r.end = r.p + text->size;
    if (memchr(r.p, '\0', text->size))
        return malformed(1, "it isn't text", err);
    if (strncmp(r.p, "\xEF\xBB\xBF", 3) == 0)
        r.p += 3;
    while (r.p < r.end) {
        int status = read_line(&r, d, err);
        if (status)
            return status;
        if (r.p < r.end)
            r.p++;
        r.line++;
    }
    return 0;
}

/* 1 if there is such a file, 0 if not. */
static int read_text(int root_fd, struct buffer *ret, struct error *err) {
    CLEANUP(cleanup_close)
    int fd = FAULT("dotenv.open") ? -1 : openat(root_fd, ".env", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st))
        return error_errno(err, ERROR_PROJECT, errno, "can't read .env");
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? 0 : error_set(err, ERROR_PROJECT, ".env isn't a regular file");
    int status = file_read(fd, ret);
    if (status == ERROR_IO)
        return error_errno(err, ERROR_PROJECT, errno, "can't read .env");
    if (status == ERROR_LIMIT)
        return error_set(err, ERROR_PROJECT, ".env is longer than 1 MiB");
    return status ? error_set(err, ERROR_NOMEM, "out of memory while reading .env") : 1;
}

int dotenv_read(const struct project *p, struct dotenv **ret, struct error *err) {
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(DOTENV_MAX);
    struct dotenv *d = FAULT("dotenv.new") ? NULL : calloc(1, sizeof *d);
    if (!d)
        return error_set(err, ERROR_NOMEM, "out of memory while reading .env");
    int status = read_text(p->root_fd, &text, err);
    if (status > 0)
        status = parse(&text, d, err);
    if (status) {
        dotenv_free(d);
        return status;
    }
    *ret = d;
    return 0;
}

const char *dotenv_get(const struct dotenv *d, const char *name) {
    const char *value = getenv(name);
    for (size_t i = d ? d->names.n : 0; i > 0 && !value; i--)
        if (strcmp(d->names.items[i - 1], name) == 0)
            value = d->values.items[i - 1];
    return value;
}

void dotenv_free(struct dotenv *d) {
    if (!d)
        return;
    string_list_done(&d->names);
    string_list_done(&d->values);
    free(d);
}
