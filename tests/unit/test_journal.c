/* The journal as one process uses it: writing, reading back, states, lists, signals, values. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "journal_world.h"
#include "scratch.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(void **state) {
    *state = scratch_new();
    return 0;
}

static int drop(void **state) {
    scratch_free(*state);
    return 0;
}

/* --- the folder --------------------------------------------------------------------------------------------- */

static void makes_a_private_folder(void **state) {
    const char *dir = scratch_path(*state, ".capsule");
    CLEANUP(world_close) struct journal *j = journal_world_open(dir, JOURNAL_CREATE);
    struct stat st;
    assert_string_equal(journal_dir(j), dir);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(scratch_exists(*state, ".capsule/.gitignore"));
}

static void says_that_there_is_none(void **state) {
    struct journal *j = NULL;
    struct error err = {0};
    assert_int_equal(journal_open(scratch_path(*state, "nowhere"), JOURNAL_READ, &j, &err), ERROR_NOT_FOUND);
    assert_contains(err.message, "nowhere");
    assert_int_equal(journal_open(*state, JOURNAL_WRITE, &j, &err), ERROR_NOT_FOUND);
    assert_int_equal(journal_open(scratch_path(*state, "a/b"), JOURNAL_CREATE, &j, &err), ERROR_IO);
    assert_contains(err.message, "a/b");
    assert_true(err.hint[0] != '\0');
    assert_null(j);
    assert_int_equal(scratch_count(*state, "."), 0);
}

/* --- one run --------------------------------------------------------------------------------------------- */

static void keeps_events(void **state) {
    struct told told = {0};
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "run-1", false, &told);
    uint64_t position = world_append_range(r, 1, 100);
    assert_int_equal(position, 100);
    world_await(r, position);
    assert_true(journal_committed(r) >= 100);
    assert_int_equal(world_count(j, "run-1"), 100);
    world_append_range(r, 101, 150);
    world_end(r);
    assert_int_equal(world_count(j, "run-1"), 150);
    assert_int_equal(told.committed, 151);
    assert_int_equal(told.failures, 0);
    world_close(&j);
    assert_int_equal(scratch_count(*state, "leases"), 0);
    assert_int_equal(world_count_in(*state, "run-1"), 150);
}

static void keeps_nothing_waiting_for_long(void **state) {
    struct told told = {0};
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "run-1", false, &told);
    uint64_t position = world_append_range(r, 1, 10);
    for (int i = 0; i < 20000 && atomic_load(&told.committed) < position; i++)
        usleep(1000);
    assert_true(atomic_load(&told.committed) == position);
    position = world_append(r, 11, "11", 2, true);
    world_await(r, position);
    journal_flush(r);
    journal_run_close(r);
}

static void what_a_run_is_comes_back(void **state) {
    struct error err = {0};
    struct journal_begin begin = world_begin("run-1");
    struct journal_run *r = NULL;
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    begin.forked_from = "other#7";
    begin.durable = true;
    uint64_t before = clock_wall_ns();
    assert_int_equal(journal_run_new(j, &begin, false, NULL, &r, NULL, &err), 0);
    CLEANUP(journal_row_done) struct journal_row row = world_find(j, "run-1");
    assert_string_equal(row.id, "run-1");
    assert_string_equal(row.entry, "main.py");
    assert_string_equal(row.task, "main");
    assert_string_equal(row.image, "abc.image");
    assert_string_equal(row.forked_from, "other#7");
    assert_string_equal(row.app, begin.app);
    assert_int_equal(row.app_n, begin.app_n);
    assert_true(row.durable && row.alive && row.state == JOURNAL_RUNNING);
    assert_int_equal(row.pid, getpid());
    assert_true(row.begun >= before && row.begun <= clock_wall_ns() && row.ended == 0);
    assert_null(row.waits_for);
    world_append_range(r, 1, 20);
    world_await(r, journal_set_state(r, JOURNAL_SUSPENDED, 0, 12345, "signal \"x\"", "none"));
    journal_row_done(&row);
    row = world_find(j, "run-1");
    assert_int_equal(row.state, JOURNAL_SUSPENDED);
    assert_false(row.alive);
    assert_int_equal(row.wake, 12345);
    assert_string_equal(row.waits_for, "signal \"x\"");
    assert_string_equal(row.error_type, "none");
    assert_true(row.bytes > 20 * 6 && row.bytes < 20 * 30);
    world_await(r, journal_set_state(r, JOURNAL_ENDED, 3, 0, NULL, "ValueError"));
    journal_run_close(r);
    journal_row_done(&row);
    row = world_find(j, "run-1");
    assert_int_equal(row.state, JOURNAL_ENDED);
    assert_int_equal(row.final_state, 3);
    assert_true(row.ended >= row.begun && row.wake == 0);
    assert_string_equal(row.error_type, "ValueError");
    assert_null(row.waits_for);
}

static void an_id_is_taken_once(void **state) {
    struct error err = {0};
    struct told told = {0};
    struct journal_begin begin = world_begin("mine");
    struct journal_run *r = NULL, *other = NULL;
    bool exists = false;
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    assert_int_equal(journal_run_new(j, &begin, false, NULL, &r, &exists, &err), 0);
    assert_false(exists);
    assert_int_equal(journal_run_new(j, &begin, false, NULL, &other, &exists, &err), ERROR_INVALID);
    assert_true(exists);
    assert_contains(err.message, "mine");
    assert_contains(err.hint, "resume");
    /* What can't happen fails the run that it happens to, and no other. */
    other = world_new(j, "mine", false, &told);
    struct journal_run *third = world_new(j, "third", false, NULL);
    uint64_t position = world_append_range(other, 1, 3);
    world_append_range(third, 1, 3);
    assert_int_equal(journal_await(other, position, &err), ERROR_INVALID);
    assert_contains(err.message, "mine");
    world_end(third);
    journal_run_close(other);
    assert_int_equal(told.failures, 1);
    world_append_range(r, 1, 4);
    journal_run_close(r);
    assert_int_equal(world_count(j, "mine"), 4);
    assert_int_equal(world_count(j, "third"), 3);
}

static void refuses_ids(void **state) {
    static char long_id[JOURNAL_RUN_ID_MAX + 2];
    memset(long_id, 'x', sizeof long_id - 1);
    const char *const ids[] = {"", "a b", "a/b", "ü", "a\n", long_id};
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = NULL;
    struct error err = {0};
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct journal_begin begin = world_begin(ids[i]);
        assert_int_equal(journal_run_new(j, &begin, false, NULL, &r, NULL, &err), ERROR_INVALID);
        assert_int_equal(journal_run_take(j, ids[i], NULL, &r, &err), ERROR_NOT_FOUND);
    }
    long_id[JOURNAL_RUN_ID_MAX] = '\0';
    world_end(world_new(j, long_id, false, NULL));
    CLEANUP(journal_row_done) struct journal_row row = world_find(j, long_id);
    assert_string_equal(row.id, long_id);
}

static void goes_on_where_it_was(void **state) {
    for (uint64_t round = 0; round < 5; round++) {
        CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
        struct journal_run *r = round == 0 ? world_new(j, "run-1", false, NULL) : world_take(j, "run-1", NULL);
        world_append_range(r, round * 10 + 1, round * 10 + 10);
        journal_run_close(r);
        assert_int_equal(world_count(j, "run-1"), round * 10 + 10);
    }
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_WRITE);
    struct journal_run *r = world_take(j, "run-1", NULL);
    struct error err = {0};
    world_end(r);
    assert_int_equal(journal_run_take(j, "run-1", NULL, &r, &err), ERROR_INVALID);
    assert_contains(err.message, "has ended");
    assert_int_equal(journal_run_take(j, "run-2", NULL, &r, &err), ERROR_NOT_FOUND);
    assert_contains(err.message, "run-2");
}

static int count_one(void *user, const struct event *event) {
    (void)event;
    ++*(unsigned *)user;
    return *(unsigned *)user == 7 ? 42 : 0;
}

static void reads_on_from_a_frame(void **state) {
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "run-1", false, NULL);
    struct error err = {0};
    uint64_t after = 0, first;
    unsigned n = 0;
    world_await(r, world_append_range(r, 1, 4));
    assert_int_equal(journal_events(j, "run-1", &after, count_one, &n, &err), 0);
    assert_int_equal(n, 4);
    first = after;
    assert_true(first >= 1);
    assert_int_equal(journal_events(j, "run-1", &after, count_one, &n, &err), 0);
    assert_true(n == 4 && after == first);
    world_await(r, world_append_range(r, 5, 9));
    assert_int_equal(journal_events(j, "run-1", &after, count_one, &n, &err), 42);
    assert_true(n == 7 && after >= first);
    n = 10;
    after = first;
    assert_int_equal(journal_events(j, "run-1", &after, count_one, &n, &err), 0);
    assert_true(n == 15 && after > first);
    assert_int_equal(journal_events(j, "run-2", &after, count_one, &n, &err), ERROR_NOT_FOUND);
    journal_run_close(r);
}

/* --- many ------------------------------------------------------------------------------------------------- */

enum { WRITERS = 8, EVENTS_EACH = 3000 };

struct writer {
    pthread_t thread;
    struct journal *journal;
    struct told told;
    char id[16];
    unsigned number;
};

static void *write_much(void *argument) {
    struct writer *w = argument;
    struct journal_run *r = world_new(w->journal, w->id, w->number % 2, &w->told);
    uint64_t position = 0;
    for (uint64_t i = 1; i <= EVENTS_EACH; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "%llu", (unsigned long long)i);
        position = world_append(r, i, text, (size_t)n, i % 50 == 0);
        if (i % 100 == w->number)
            world_await(r, position);
    }
    world_await(r, position);
    world_end(r);
    return NULL;
}

static void writes_for_many_threads(void **state) {
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    static struct writer writers[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.journal = j, .number = i};
        snprintf(writers[i].id, sizeof writers[i].id, "run-%u", i);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_much, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].told.failures, 0);
        assert_int_equal(writers[i].told.committed, EVENTS_EACH + 1);
        assert_int_equal(world_count(j, writers[i].id), EVENTS_EACH);
    }
    world_close(&j);
    world_check(*state);
}

static struct journal_run *shared;
static void *append_to_shared(void *user) {
    for (int i = 0; i < EVENTS_EACH; i++)
        world_append(shared, 1, "shared", 6, i % 16 == 0);
    return user;
}

static int count_any(void *user, const struct event *event) {
    (void)event;
    ++*(unsigned *)user;
    return 0;
}

static void threads_may_share_a_run(void **state) {
    pthread_t threads[4];
    unsigned n = 0;
    uint64_t after = 0;
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    shared = world_new(j, "run-1", false, NULL);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_to_shared, NULL), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    world_end(shared);
    assert_int_equal(journal_events(j, "run-1", &after, count_any, &n, NULL), 0);
    assert_int_equal(n, COUNT(threads) * EVENTS_EACH);
}

static void keeps_a_hundred_thousand_events(void **state) {
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "run-1", false, NULL);
    for (uint64_t i = 0; i < 100; i++) {
        world_append_range(r, i * 1000 + 1, i * 1000 + 1000);
        journal_throttle(r);
    }
    world_end(r);
    assert_int_equal(world_count(j, "run-1"), 100000);
    world_close(&j);
    world_check(*state);
}

/* --- values ------------------------------------------------------------------------------------------------ */

struct wanted {
    struct journal *journal;
    const char *text;
    size_t n;
    unsigned found;
};

static int compare_text(void *user, const struct event *event) {
    struct wanted *w = user;
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT((size_t)1 << 30);
    if (event->kind != EVENT_CREATED)
        return 0;
    assert_true(event->texts[0].n == w->n && event->texts[0].in_blob == (w->n >= BLOB_MIN));
    assert_int_equal(journal_text(w->journal, &event->texts[0], &text, NULL), 0);
    assert_int_equal(text.size, w->n);
    assert_memory_equal(text.data, w->text, w->n);
    buffer_clear(&text);
    assert_int_equal(journal_text(w->journal, &event->texts[1], &text, NULL), 0);
    assert_int_equal(text.size, w->n / 2);
    if (w->n / 2)
        assert_memory_equal(text.data, w->text, w->n / 2);
    w->found++;
    return 0;
}

static void keep_value(struct journal *j, const char *id, const char *value, size_t n) {
    struct event e = {.kind = EVENT_CREATED, .task = 1, .time = clock_wall_ns()};
    struct wanted wanted = {j, value, n, 0};
    uint64_t after = 0;
    struct journal_run *r = world_new(j, id, n % 2, NULL);
    e.texts[0] = (struct event_text){.bytes = value, .n = n};
    e.texts[1] = (struct event_text){.bytes = value, .n = n / 2};
    world_append_range(r, 1, 3);
    journal_append(r, &e, false);
    world_append_range(r, 4, 5);
    world_end(r);
    assert_int_equal(journal_events(j, id, &after, compare_text, &wanted, NULL), 0);
    assert_int_equal(wanted.found, 1);
    assert_int_equal(world_count(j, id), 5);
}

static void keeps_values_of_every_size(void **state) {
    static const size_t sizes[] = {
        0, 1, 127, 128, BLOB_MIN - 1, BLOB_MIN, BLOB_MIN + 1, 2 * BLOB_MIN, 2 * BLOB_MIN + 1, 1 << 20, 50000000};
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    CLEANUP(cleanup_free) char *value = malloc(50000000);
    for (size_t i = 0; i < 50000000; i++)
        value[i] = (char)(i * i >> 7);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char id[16];
        snprintf(id, sizeof id, "run-%zu", i);
        keep_value(j, id, value, sizes[i]);
    }
    world_close(&j);
    world_check(*state);
}

static void frames_that_grow_large_are_split(void **state) {
    static char text[BLOB_MIN - 1];
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "run-1", false, NULL);
    memset(text, 'x', sizeof text);
    for (uint64_t i = 1; i <= 200; i++)
        world_append(r, i, text, sizeof text, false);
    world_end(r);
    assert_int_equal(world_count(j, "run-1"), 200);
}

static void throttles(void **state) {
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    CLEANUP(cleanup_free) char *value = calloc(1, 10 << 20);
    struct journal_run *r = world_new(j, "run-1", false, NULL);
    for (uint64_t i = 1; i <= 20; i++) {
        value[0] = (char)i;
        world_append(r, i, value, 10 << 20, false);
        journal_throttle(r);
        assert_true(atomic_load(&j->waiting_bytes) <= WAITING_MAX);
    }
    world_end(r);
    assert_int_equal(atomic_load(&j->waiting_bytes), 0);
    assert_int_equal(world_count(j, "run-1"), 20);
}

/* A fork names values that another run wrote. */
static void runs_may_share_values(void **state) {
    static char text[BLOB_MIN + 7];
    struct error err = {0};
    struct told told = {0};
    struct event e = {.kind = EVENT_REPLY, .task = 1, .numbers = {1}};
    CLEANUP(buffer_done) struct buffer read = BUFFER_INIT(1 << 20);
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    e.texts[0] = (struct event_text){.n = sizeof text, .in_blob = true};
    digest_bytes(NULL, text, sizeof text, e.texts[0].digest);
    struct journal_run *r = world_new(j, "fork", false, &told);
    uint64_t position = journal_append(r, &e, true);
    assert_int_equal(journal_await(r, position, &err), ERROR_NOT_FOUND);
    assert_contains(err.message, "gone");
    journal_run_close(r);
    assert_int_equal(told.failures, 1);
    r = world_new(j, "first", false, NULL);
    world_append(r, 1, text, sizeof text, false);
    world_end(r);
    r = world_new(j, "fork-2", false, NULL);
    journal_append(r, &e, true);
    world_end(r);
    assert_int_equal(world_count(j, "fork-2"), 1);
    assert_int_equal(journal_text(j, &e.texts[0], &read, &err), 0);
    assert_memory_equal(read.data, text, sizeof text);
}

/* --- lists -------------------------------------------------------------------------------------------------- */

struct listed {
    char ids[4096];
    unsigned n, stop;
};

static int list_one(void *user, const struct journal_row *row) {
    struct listed *l = user;
    size_t n = strlen(l->ids);
    snprintf(l->ids + n, sizeof l->ids - n, "%s ", row->id);
    return ++l->n == l->stop ? 42 : 0;
}

static const char *list(struct journal *j, struct journal_filter filter) {
    static struct listed l;
    struct error err = {0};
    l = (struct listed){0};
    if (journal_list(j, &filter, list_one, &l, &err))
        fail_msg("%s", err.message);
    return l.ids;
}

static void end_as(struct journal *j, const char *id, const char *entry, int final_state) {
    struct journal_begin begin = world_begin(id);
    struct journal_run *r = NULL;
    begin.entry = entry;
    assert_int_equal(journal_run_new(j, &begin, true, NULL, &r, NULL, NULL), 0);
    world_await(r, journal_set_state(r, JOURNAL_ENDED, final_state, 0, NULL, NULL));
    journal_run_close(r);
}

static void suspend(struct journal *j, const char *id, uint64_t wake) {
    struct journal_run *r = world_new(j, id, false, NULL);
    world_await(r, journal_set_state(r, JOURNAL_SUSPENDED, 0, wake, "a time", NULL));
    journal_run_close(r);
}

static void lists_by_state_and_entry(void **state) {
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    assert_string_equal(list(j, (struct journal_filter){0}), "");
    end_as(j, "completed", "main.py", 2);
    end_as(j, "failed", "other.ts", 3);
    end_as(j, "timed-out", "main.py", 4);
    end_as(j, "cancelled", "main.py", 5);
    end_as(j, "ended-interrupted", "main.py", 6);
    suspend(j, "suspended", 0);
    journal_run_close(world_new(j, "interrupted", false, NULL));
    struct journal_run *r = world_new(j, "running", false, NULL);
    world_await(r, world_append_range(r, 1, 1));
    assert_string_equal(list(j, (struct journal_filter){0}),
                        "running interrupted suspended ended-interrupted cancelled timed-out failed completed ");
    assert_string_equal(list(j, (struct journal_filter){.limit = 2}), "running interrupted ");
    assert_string_equal(list(j, (struct journal_filter){.state = "completed"}), "completed ");
    assert_string_equal(list(j, (struct journal_filter){.state = "failed"}), "failed ");
    assert_string_equal(list(j, (struct journal_filter){.state = "timed_out"}), "timed-out ");
    assert_string_equal(list(j, (struct journal_filter){.state = "cancelled"}), "cancelled ");
    assert_string_equal(list(j, (struct journal_filter){.state = "interrupted"}),
                        "interrupted ended-interrupted ");
    assert_string_equal(list(j, (struct journal_filter){.state = "suspended"}), "suspended ");
    assert_string_equal(list(j, (struct journal_filter){.state = "running"}), "running ");
    assert_string_equal(list(j, (struct journal_filter){.entry = "other.ts"}), "failed ");
    assert_string_equal(list(j, (struct journal_filter){.entry = "main.py", .limit = 1, .state = "timed_out"}),
                        "timed-out ");
    struct listed l = {.stop = 3};
    assert_int_equal(journal_list(j, NULL, list_one, &l, NULL), 42);
    assert_string_equal(l.ids, "running interrupted suspended ");
    CLEANUP(journal_row_done) struct journal_row row = world_find(j, "running");
    assert_true(row.bytes > 0); /* of one that's under way */
    journal_run_close(r);
}

static void lists_more_than_a_page(void **state) {
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct listed l = {0};
    for (int i = 0; i < 250; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        journal_run_close(world_new(j, id, false, NULL));
    }
    assert_int_equal(journal_list(j, NULL, list_one, &l, NULL), 0);
    assert_int_equal(l.n, 250);
    l = (struct listed){0};
    assert_int_equal(journal_list(j, &(struct journal_filter){.limit = 150}, list_one, &l, NULL), 0);
    assert_int_equal(l.n, 150);
}

static void finds_by_a_unique_beginning(void **state) {
    struct error err = {0};
    CLEANUP(journal_row_done) struct journal_row row = {0};
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    end_as(j, "0198a7c2-aaaa", "main.py", 2);
    end_as(j, "0198a7c2-abbb", "main.py", 2);
    end_as(j, "0198", "main.py", 2);
    end_as(j, "xyz", "main.py", 2);
    row = world_find(j, "0198a7c2-aa");
    assert_string_equal(row.id, "0198a7c2-aaaa");
    journal_row_done(&row);
    row = world_find(j, "0198"); /* whole, though it begins others too */
    assert_string_equal(row.id, "0198");
    assert_int_equal(journal_find(j, "0198a7c2-a", false, &row, &err), ERROR_INVALID);
    assert_contains(err.message, "0198a7c2-aaaa");
    assert_contains(err.message, "0198a7c2-abbb");
    assert_int_equal(journal_find(j, "xy", false, &row, &err), ERROR_NOT_FOUND);
    assert_int_equal(journal_find(j, "", false, &row, &err), ERROR_NOT_FOUND);
    assert_int_equal(journal_find(j, "0199", false, &row, &err), ERROR_NOT_FOUND);
    assert_contains(err.message, "0199");
}

/* --- signals ------------------------------------------------------------------------------------------------ */

struct heard {
    uint64_t last;
    char text[1024];
};

static int hear(void *user, uint64_t number, uint64_t time, const char *name, const char *json, size_t json_n) {
    struct heard *h = user;
    size_t n = strlen(h->text);
    assert_true(number > h->last && time > 0 && strlen(json) == json_n);
    h->last = number;
    snprintf(h->text + n, sizeof h->text - n, "%s=%s ", name, json);
    return 0;
}

static void send(struct journal *j, const char *id, const char *name, const char *json) {
    struct error err = {0};
    if (journal_signal(j, id, name, json, strlen(json), &err))
        fail_msg("%s", err.message);
}

static void keeps_signals(void **state) {
    struct heard h = {0};
    struct error err = {0};
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    suspend(j, "run-1", 0);
    suspend(j, "run-2", 0);
    send(j, "run-1", "approval", "{\"ok\": true}");
    send(j, "run-2", "other", "1");
    send(j, "run-1", "again", "null");
    assert_int_equal(journal_signals(j, "run-1", 0, hear, &h, &err), 0);
    assert_string_equal(h.text, "approval={\"ok\": true} again=null ");
    uint64_t last = h.last;
    h = (struct heard){0};
    assert_int_equal(journal_signals(j, "run-1", last, hear, &h, &err), 0);
    assert_string_equal(h.text, "");
    assert_int_equal(journal_signal(j, "run-3", "x", "1", 1, &err), ERROR_NOT_FOUND);
    world_end(world_take(j, "run-1", NULL));
    assert_int_equal(journal_signal(j, "run-1", "x", "1", 1, &err), ERROR_INVALID);
    assert_contains(err.message, "has ended");
    bool alive;
    assert_int_equal(journal_cancel(j, "run-1", &alive, &err), ERROR_INVALID);
}

static void lists_what_is_due(void **state) {
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    suspend(j, "early", 1000);
    suspend(j, "late", 3000);
    suspend(j, "never", 0);
    end_as(j, "ended", "main.py", 2);
    assert_string_equal(list(j, (struct journal_filter){.due = 1000}), "");
    assert_string_equal(list(j, (struct journal_filter){.due = 2000}), "early ");
    assert_string_equal(list(j, (struct journal_filter){.due = 4000}), "late early ");
    send(j, "never", "x", "1");
    assert_string_equal(list(j, (struct journal_filter){.due = 1}), "never ");
    /* Once the run knows the signal, it's due no more. */
    struct told told = {0};
    struct journal_run *r = world_take(j, "never", &told);
    journal_watch(r, true, 0);
    world_wait(&told.signals, 1);
    world_await(r, journal_set_state(r, JOURNAL_SUSPENDED, 0, 0, "y", NULL));
    journal_run_close(r);
    /* The callback may come a moment before the journal notes that it returned. */
    if (strcmp(list(j, (struct journal_filter){.due = 1}), "") != 0) {
        r = world_take(j, "never", &told);
        journal_watch(r, true, told.last_signal);
        world_await(r, journal_set_state(r, JOURNAL_SUSPENDED, 0, 0, "y", NULL));
        journal_run_close(r);
    }
    assert_string_equal(list(j, (struct journal_filter){.due = 1}), "");
    send(j, "never", "x", "2");
    assert_string_equal(list(j, (struct journal_filter){.due = 1}), "never ");
}

static void tells_signals_and_cancellation(void **state) {
    struct told told = {0}, deaf = {0};
    struct error err = {0};
    bool alive = false;
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    CLEANUP(world_close) struct journal *outside = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "run-1", false, &told);
    struct journal_run *other = world_new(j, "run-2", false, &deaf);
    world_await(r, world_append_range(r, 1, 1));
    world_await(other, world_append_range(other, 1, 1));
    send(outside, "run-1", "early", "0");
    journal_watch(r, true, 0);
    world_wait(&told.signals, 1);
    for (unsigned i = 2; i <= 20; i++) {
        send(i % 2 ? outside : j, "run-1", "x", "1");
        send(outside, "run-2", "x", "1");
        if (i % 5 == 0)
            world_wait(&told.signals, i);
    }
    assert_int_equal(journal_cancel(outside, "run-1", &alive, &err), 0);
    assert_true(alive);
    world_wait(&told.cancels, 1);
    journal_watch(r, false, 0);
    usleep(150000);
    send(outside, "run-1", "x", "1");
    usleep(150000);
    assert_int_equal(told.signals, 20);
    assert_int_equal(told.cancels, 1);
    journal_watch(r, true, told.last_signal);
    world_wait(&told.signals, 21);
    assert_int_equal(deaf.signals, 0);
    journal_run_close(r);
    journal_run_close(other);
    alive = true;
    assert_int_equal(journal_cancel(outside, "run-2", &alive, &err), 0);
    assert_false(alive);
    /* Whoever goes on with it hears of it. */
    r = world_take(j, "run-2", &deaf);
    journal_watch(r, true, 0);
    world_wait(&deaf.cancels, 1);
    journal_run_close(r);
}

static void append_on_signal(void *user, uint64_t number, const char *name, const char *json, size_t json_n) {
    (void)name;
    (void)json;
    (void)json_n;
    struct journal_run **r = user;
    world_append(*r, number, "told", 4, true);
}

static void callbacks_may_append(void **state) {
    struct journal_run *r = NULL;
    struct journal_begin begin = world_begin("run-1");
    struct journal_callbacks callbacks = {.signal = append_on_signal, .user = &r};
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    assert_int_equal(journal_run_new(j, &begin, false, &callbacks, &r, NULL, NULL), 0);
    send(j, "run-1", "x", "1");
    send(j, "run-1", "x", "1");
    journal_watch(r, true, 0);
    for (int i = 0; i < 20000 && world_count(j, "run-1") < 2; i++)
        usleep(1000);
    assert_int_equal(world_count(j, "run-1"), 2);
    journal_run_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_a_private_folder, make, drop),
        cmocka_unit_test_setup_teardown(says_that_there_is_none, make, drop),
        cmocka_unit_test_setup_teardown(keeps_events, make, drop),
        cmocka_unit_test_setup_teardown(keeps_nothing_waiting_for_long, make, drop),
        cmocka_unit_test_setup_teardown(what_a_run_is_comes_back, make, drop),
        cmocka_unit_test_setup_teardown(an_id_is_taken_once, make, drop),
        cmocka_unit_test_setup_teardown(refuses_ids, make, drop),
        cmocka_unit_test_setup_teardown(goes_on_where_it_was, make, drop),
        cmocka_unit_test_setup_teardown(reads_on_from_a_frame, make, drop),
        cmocka_unit_test_setup_teardown(writes_for_many_threads, make, drop),
        cmocka_unit_test_setup_teardown(threads_may_share_a_run, make, drop),
        cmocka_unit_test_setup_teardown(keeps_a_hundred_thousand_events, make, drop),
        cmocka_unit_test_setup_teardown(keeps_values_of_every_size, make, drop),
        cmocka_unit_test_setup_teardown(frames_that_grow_large_are_split, make, drop),
        cmocka_unit_test_setup_teardown(throttles, make, drop),
        cmocka_unit_test_setup_teardown(runs_may_share_values, make, drop),
        cmocka_unit_test_setup_teardown(lists_by_state_and_entry, make, drop),
        cmocka_unit_test_setup_teardown(lists_more_than_a_page, make, drop),
        cmocka_unit_test_setup_teardown(finds_by_a_unique_beginning, make, drop),
        cmocka_unit_test_setup_teardown(keeps_signals, make, drop),
        cmocka_unit_test_setup_teardown(lists_what_is_due, make, drop),
        cmocka_unit_test_setup_teardown(tells_signals_and_cancellation, make, drop),
        cmocka_unit_test_setup_teardown(callbacks_may_append, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
