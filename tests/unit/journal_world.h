/* What tests of the journal share: a journal in a temporary folder, short ways to write events and to read them back. Failures end the test. */
#ifndef TESTS_JOURNAL_WORLD_H
#define TESTS_JOURNAL_WORLD_H

#include "journal/journal_internal.h"

struct journal *journal_world_open(const char *dir, enum journal_mode mode);
void world_close(struct journal **j);

/* What `*told` callbacks count. Zeroed, its address is callbacks.user. */
struct told {
    _Atomic uint64_t committed;
    atomic_uint failures, cancels, signals;
    _Atomic uint64_t last_signal;
    struct error why;
};
struct journal_callbacks world_callbacks(struct told *told);

struct journal_begin world_begin(const char *id);
struct journal_run *world_new(struct journal *j, const char *id, bool durable, struct told *told);
struct journal_run *world_take(struct journal *j, const char *id, struct told *told);

/* Appends a REPLY with this number and text. */
uint64_t world_append(struct journal_run *r, uint64_t number, const char *text, size_t n, bool prompt);
/* Appends REPLY events first … last, each with its number as text; returns the position of the last. */
uint64_t world_append_range(struct journal_run *r, uint64_t first, uint64_t last);
void world_await(struct journal_run *r, uint64_t position);
void world_end(struct journal_run *r);

/* REPLY events of a run, which must be numbered 1, 2, 3 … with the right texts (unless they lie in blobs). */
uint64_t world_count(struct journal *j, const char *id);
/* The same for a journal that isn't open. */
uint64_t world_count_in(const char *dir, const char *id);
struct journal_row world_find(struct journal *j, const char *id);
/* All is sound, by journal_verify. */
void world_check(const char *dir);

/* Waits until a counter is at least n; fails after 20 s. */
void world_wait(atomic_uint *counter, unsigned n);

#endif
