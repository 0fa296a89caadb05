#define _GNU_SOURCE 1
#include "journal_world.h"

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

struct journal *journal_world_open(const char *dir, enum journal_mode mode) {
    struct journal *j = NULL;
    struct error err = {0};
    if (journal_open(dir, mode, &j, &err))
        fail_msg("%s", err.message);
    return j;
}

void world_close(struct journal **j) {
    journal_close(*j);
    *j = NULL;
}

static void on_committed(void *user, uint64_t position) {
    atomic_store(&((struct told *)user)->committed, position);
}

static void on_failed(void *user, const struct error *why) {
    struct told *told = user;
    told->why = *why;
    atomic_fetch_add(&told->failures, 1);
}

static void on_signal(void *user, uint64_t number, const char *name, const char *json, size_t json_n) {
    struct told *told = user;
    if (strlen(name) == 0 || strlen(json) != json_n || number <= atomic_load(&told->last_signal))
        abort();
    atomic_store(&told->last_signal, number);
    atomic_fetch_add(&told->signals, 1);
}

static void on_cancel(void *user) {
    atomic_fetch_add(&((struct told *)user)->cancels, 1);
}

struct journal_callbacks world_callbacks(struct told *told) {
    return (struct journal_callbacks){on_committed, on_failed, on_signal, on_cancel, told};
}

struct journal_begin world_begin(const char *id) {
    return (struct journal_begin){
        .id = id, .entry = "main.py", .task = "main", .app = "{\"app\":1}", .app_n = 9, .image = "abc.image"};
}

struct journal_run *world_new(struct journal *j, const char *id, bool durable, struct told *told) {
    struct journal_begin begin = world_begin(id);
    struct journal_callbacks callbacks = world_callbacks(told);
    struct journal_run *r = NULL;
    struct error err = {0};
    begin.durable = durable;
    if (journal_run_new(j, &begin, true, told ? &callbacks : NULL, &r, NULL, &err))
        fail_msg("%s", err.message);
    return r;
}

struct journal_run *world_take(struct journal *j, const char *id, struct told *told) {
    struct journal_callbacks callbacks = world_callbacks(told);
    struct journal_run *r = NULL;
    struct error err = {0};
    if (journal_run_take(j, id, told ? &callbacks : NULL, &r, &err))
        fail_msg("%s", err.message);
    return r;
}

uint64_t world_append(struct journal_run *r, uint64_t number, const char *text, size_t n, bool prompt) {
    struct event event = {.kind = EVENT_REPLY, .task = 1, .time = clock_wall_ns(), .numbers = {number}};
    event.texts[0] = (struct event_text){.bytes = text, .n = n};
    return journal_append(r, &event, prompt);
}

uint64_t world_append_range(struct journal_run *r, uint64_t first, uint64_t last) {
    uint64_t position = 0;
    for (uint64_t i = first; i <= last; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "%llu", (unsigned long long)i);
        position = world_append(r, i, text, (size_t)n, false);
    }
    return position;
}

void world_await(struct journal_run *r, uint64_t position) {
    struct error err = {0};
    if (journal_await(r, position, &err))
        fail_msg("%s", err.message);
}

void world_end(struct journal_run *r) {
    world_await(r, journal_set_state(r, JOURNAL_ENDED, 2, 0, NULL, NULL));
    journal_run_close(r);
}

static int count(void *user, const struct event *event) {
    uint64_t *n = user;
    char text[32];
    if (event->kind != EVENT_REPLY)
        return 0;
    ++*n;
    if (event->numbers[0] != *n)
        fail_msg("event %llu where %llu should be", (unsigned long long)event->numbers[0], (unsigned long long)*n);
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)*n);
    if (!event->texts[0].in_blob && event->texts[0].n == (uint64_t)length)
        assert_memory_equal(event->texts[0].bytes, text, (size_t)length);
    return 0;
}

uint64_t world_count(struct journal *j, const char *id) {
    uint64_t n = 0, after = 0;
    struct error err = {0};
    if (journal_events(j, id, &after, count, &n, &err))
        fail_msg("%s", err.message);
    return n;
}

uint64_t world_count_in(const char *dir, const char *id) {
    struct journal *j = journal_world_open(dir, JOURNAL_WRITE);
    uint64_t n = world_count(j, id);
    journal_close(j);
    return n;
}

struct journal_row world_find(struct journal *j, const char *id) {
    struct journal_row row = {0};
    struct error err = {0};
    if (journal_find(j, id, true, &row, &err))
        fail_msg("%s", err.message);
    return row;
}

void world_check(const char *dir) {
    struct journal *j = journal_world_open(dir, JOURNAL_CREATE);
    CLEANUP(buffer_done) struct buffer problems = BUFFER_INIT(1 << 20);
    struct error err = {0};
    if (journal_verify(j, &problems, &err))
        fail_msg("%s", err.message);
    assert_string_equal(buffer_text(&problems), "");
    journal_close(j);
}

void world_wait(atomic_uint *counter, unsigned n) {
    for (int i = 0; i < 20000 && atomic_load(counter) < n; i++)
        usleep(1000);
    assert_true(atomic_load(counter) >= n);
}
