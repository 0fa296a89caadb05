/* From positions in a bundle to those in the user's files, by the "mappings" of its source map.
 *
 * The text is kept as it came and read when an error is shown: most tasks never need it, and read once for all frames of a trace it takes a few
 * milliseconds a megabyte. Format: lines are divided by ";", segments by ","; a segment is 1, 4 or 5 numbers in base 64 VLQ, each the
 * difference to the one before: column (starting from 0 in each line), source, its line, its column, a name (ECMA-426).
 * It comes from the bundler and is read inside the sandbox: a malformed one ends the search, nothing else. */
#include "engine.h"
#include <stdlib.h>
#include <string.h>

static struct {
    char *text;
    size_t n;
} map;

bool source_map_keep(const char *mappings, size_t n) {
    free(map.text);
    map.text = malloc(n ? n : 1);
    map.n = map.text ? n : 0;
    if (map.text)
        memcpy(map.text, mappings, n);
    return map.text != NULL;
}

struct reader {
    const char *at, *end;
    int32_t line, column;                       /* of the segment in the bundle, from 0 */
    int32_t source, source_line, source_column; /* from 0 */
    bool mapped;                                /* the segment has a source */
};

static int digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool at_number(const struct reader *r) {
    return r->at < r->end && digit(*r->at) >= 0;
}

/* Adds the number that begins here to *to. False: there is none. */
static bool add_number(struct reader *r, int32_t *to) {
    uint32_t value = 0;
    for (int shift = 0; at_number(r) && shift < 30; shift += 5) {
        uint32_t bits = (uint32_t)digit(*r->at++);
        value |= (bits & 31) << shift;
        if (!(bits & 32)) {
            int32_t difference = (int32_t)(value >> 1);
            *to = (int32_t)((uint32_t)*to + (uint32_t)(value & 1 ? -difference : difference));
            return true;
        }
    }
    return false;
}

/* The next segment. False: there is none, or it's malformed. */
static bool next_segment(struct reader *r) {
    int32_t name = 0;
    for (; r->at < r->end && (*r->at == ';' || *r->at == ','); r->at++)
        if (*r->at == ';') {
            r->line++;
            r->column = 0;
        }
    if (!add_number(r, &r->column))
        return false;
    r->mapped = at_number(r);
    if (r->mapped &&
        (!add_number(r, &r->source) || !add_number(r, &r->source_line) || !add_number(r, &r->source_column)))
        return false;
    return !at_number(r) || add_number(r, &name);
}

static bool is_before(int32_t line, int32_t column, const struct reader *segment) {
    return line < segment->line || (line == segment->line && column < segment->column);
}

/* What the last segment at or before a position says. */
static void answer(struct source_position *p, const struct reader *last) {
    bool found = last->mapped && last->line == p->line - 1;
    p->source = found ? last->source : -1;
    p->source_line = last->source_line + 1;
    p->source_column = last->source_column + 1;
}

void source_map_locate(struct source_position *positions, size_t n) {
    struct reader r = {.at = map.text, .end = map.text + map.n, .line = 0}, last = {.mapped = false};
    size_t i = 0;
    while (i < n && next_segment(&r)) {
        for (; i < n && is_before(positions[i].line - 1, positions[i].column - 1, &r); i++)
            answer(&positions[i], &last);
        last = r;
    }
    for (; i < n; i++)
        answer(&positions[i], &last);
}
