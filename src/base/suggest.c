/* Owns "did you mean". Pure functions; any thread. */
#include "base/suggest.h"

#include <string.h>

enum { WORD_MAX = 64 };

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Optimal string alignment; upper and lower case are the same letter. Both at most WORD_MAX long. */
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            row[j] = least(above[j - 1] + (x != y), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y)
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[m];
}

const char *suggest_nearest(const char *word, const char *const *candidates, size_t n) {
    size_t length = strlen(word);
    if (length == 0 || length > WORD_MAX)
        return NULL;
    const char *best = NULL;
    size_t limit = (length + 2) / 3;
    for (size_t i = 0; i < n; i++) {
        size_t m = strlen(candidates[i]);
        if (m > WORD_MAX)
            continue;
        size_t d = distance(word, length, candidates[i], m);
        if (d <= limit) {
            best = candidates[i];
            if (d == 0)
                break;
            limit = d - 1;
        }
    }
    return best;
}
