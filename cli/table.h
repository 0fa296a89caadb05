/* A table of texts for a terminal: columns as wide as they need to be. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "output.h"

enum { TABLE_COLUMNS_MAX = 8 };

struct table {
    size_t columns, cells_n, capacity;
    const char *const *titles; /* one per column */
    struct table_cell *cells;  /* row after row */
    bool failed;               /* out of memory */
};

void table_done(struct table *t);
/* The next cell, row after row. Text is copied and made safe for a terminal; of more than max characters (0: no limit) the end is cut off. */
void table_add(struct table *t, const char *text, enum style s, size_t max);
/* Appends titles and rows for standard output. ERROR_NOMEM when anything had no room. */
int table_write(const struct table *t, struct buffer *to);

#endif
