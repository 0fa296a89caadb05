/* See table.h. */
#include "table.h"
#include "base/error.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GAP = 2, CELL_MAX = 1 << 16 };

struct table_cell {
    char *text;
    enum style style;
};

void table_done(struct table *t) {
    for (size_t i = 0; i < t->cells_n; i++)
        free(t->cells[i].text);
    free(t->cells);
    t->cells = NULL;
    t->cells_n = 0;
}

/* Characters, each one column wide as far as we know. */
static size_t width(const char *text) {
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* Keeps max - 1 characters and says with one more that there were others. */
static void cut(struct buffer *b, size_t max) {
    if (max == 0 || width(buffer_text(b)) <= max)
        return;
    size_t at = 0, kept = 0;
    while (kept < max - 1) {
        const size_t step = utf8_step(b->data + at, b->size - at);
        at += step > 0 ? step : 1;
        kept++;
    }
    b->size = at;
    b->data[at] = '\0';
    buffer_puts(b, "…");
}

void table_add(struct table *t, const char *text, enum style s, size_t max) {
    if (t->cells_n == t->capacity) {
        const size_t more = t->capacity > 0 ? t->capacity * 2 : 64;
        struct table_cell *grown = realloc(t->cells, more * sizeof *grown);
        t->failed |= grown == NULL;
        if (grown == NULL)
            return;
        t->cells = grown;
        t->capacity = more;
    }
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(CELL_MAX);
    output_escape(&b, text, true);
    cut(&b, max);
    char *copy = buffer_take(&b);
    t->failed |= copy == NULL;
    if (copy != NULL)
        t->cells[t->cells_n++] = (struct table_cell){copy, s};
}

static void put_cell(struct buffer *to, const char *text, enum style s, size_t padding) {
    const char *begin = s != STYLE_PLAIN ? style(STDOUT_FILENO, s) : "";
    buffer_printf(to, "%s%s%s%*s", begin, text, begin[0] != '\0' ? style(STDOUT_FILENO, STYLE_PLAIN) : "",
                  (int)padding, "");
}

int table_write(const struct table *t, struct buffer *to) {
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->columns; i++)
        widths[i] = width(t->titles[i]);
    for (size_t i = 0; i < t->cells_n; i++) {
        const size_t w = width(t->cells[i].text);
        if (w > widths[i % t->columns])
            widths[i % t->columns] = w;
    }
    for (size_t i = 0; i < t->columns; i++)
        put_cell(to, t->titles[i], STYLE_DIM, i + 1 < t->columns ? widths[i] - width(t->titles[i]) + GAP : 0);
    int rc = buffer_putc(to, '\n');
    for (size_t i = 0; i < t->cells_n && rc == 0; i++) {
        const size_t column = i % t->columns;
        const bool last = column + 1 == t->columns;
        /* Nothing follows an empty last cell, not even spaces. */
        put_cell(to, t->cells[i].text, t->cells[i].style,
                 last ? 0 : widths[column] - width(t->cells[i].text) + GAP);
        if (last) {
            while (to->size > 0 && to->data[to->size - 1] == ' ')
                to->data[--to->size] = '\0';
            rc = buffer_putc(to, '\n');
        }
    }
    return t->failed ? ERROR_NOMEM : rc;
}
