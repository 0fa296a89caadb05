/* What leaves a journal, what stays, and that those who write meanwhile lose nothing. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "journal_world.h"
#include "scratch.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
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

static void begin_with_image(struct journal *j, const char *id, const char *image, struct journal_run **ret) {
    struct journal_begin begin = world_begin(id);
    begin.image = image;
    begin.app = id; /* another one for each run */
    begin.app_n = strlen(id);
    assert_int_equal(journal_run_new(j, &begin, true, NULL, ret, NULL, NULL), 0);
}

/* A run with a value of its own and one that all share. */
static struct journal_run *put(struct journal *j, const char *id, const char *image) {
    static char value[BLOB_MIN];
    struct journal_run *r = NULL;
    begin_with_image(j, id, image, &r);
    memset(value, 0, sizeof value);
    world_append(r, 1, value, sizeof value, false);
    snprintf(value, sizeof value, "%s", id);
    world_append(r, 2, value, sizeof value, false);
    world_append_range(r, 3, 500);
    world_await(r, 500);
    return r;
}

static int nothing(void *argument) {
    *(pid_t *)argument = getpid();
    return 0;
}

/* A file that somebody was writing when he died. */
static void leave_temporary(const char *dir, char name[64]) {
    pid_t *pid = mmap(NULL, sizeof *pid, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(scratch_fork(0, nothing, pid), 0);
    snprintf(name, 64, "blobs/00/.%d.0123", *pid);
    munmap(pid, sizeof *pid);
    scratch_write(dir, name, "half of a val");
}

static struct journal_collection collect(struct journal *j, uint64_t before, bool dry_run) {
    struct journal_collection c = {0};
    struct error err = {0};
    if (journal_collect(j, before, dry_run, &c, &err))
        fail_msg("%s", err.message);
    return c;
}

static size_t count_blobs(const char *dir) {
    size_t n = 0;
    for (int i = 0; i < 256; i++) {
        char name[16];
        snprintf(name, sizeof name, "blobs/%02x", (unsigned)i);
        if (scratch_exists(dir, name))
            n += scratch_count(dir, name);
    }
    return n;
}

static void images_are_needed_until_the_end(void **state) {
    CLEANUP(world_close) struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    bool needed = false;
    struct journal_run *one = put(j, "one", "aa.image"), *other = put(j, "other", "aa.image");
    world_end(one);
    assert_int_equal(journal_needs_image(j, "aa.image", &needed, NULL), 0);
    assert_true(needed);
    world_end(other);
    assert_int_equal(journal_needs_image(j, "aa.image", &needed, NULL), 0);
    assert_false(needed);
    assert_int_equal(journal_needs_image(j, "bb.image", &needed, NULL), 0);
    assert_false(needed);
}

static void removes_what_ended_long_ago(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct stat before_st, after_st;
    journal_set_young(j, 0);
    world_end(put(j, "old-1", "aa.image"));
    world_end(put(j, "old-2", "bb.image"));
    usleep(2000);
    uint64_t limit = clock_wall_ns();
    usleep(2000);
    world_end(put(j, "new", "bb.image"));
    struct journal_run *suspended = put(j, "suspended", "cc.image");
    world_await(suspended, journal_set_state(suspended, JOURNAL_SUSPENDED, 0, 0, "x", NULL));
    journal_run_close(suspended);
    struct journal_run *running = put(j, "running", "dd.image");
    assert_int_equal(journal_signal(j, "running", "s", "1", 1, NULL), 0);
    static const char *const images[] = {"aa.image", "aa.digest", "bb.image", "cc.image",
                                         "dd.image", "dd",        "zz.image"};
    for (size_t i = 0; i < COUNT(images); i++) {
        char name[32];
        snprintf(name, sizeof name, "images/%s", images[i]);
        scratch_write(*state, name, "12345");
    }
    assert_int_equal(count_blobs(*state), 6); /* five of runs, one of all */
    char temporary[64];
    leave_temporary(*state, temporary);
    scratch_write(*state, "blobs/00/README", "not ours");
    struct journal_collection dry = collect(j, limit, true);
    assert_int_equal(count_blobs(*state), 6 + 2);
    assert_int_equal(world_count(j, "old-1"), 500);
    struct journal_collection c = collect(j, limit, false);
    assert_memory_equal(&dry, &c, sizeof c);
    assert_int_equal(c.runs, 2);
    assert_true(c.events_bytes > 2 * 500 * 6 && c.events_bytes < 2 * 500 * 30);
    assert_int_equal(c.blobs, 2);
    assert_int_equal(c.blobs_bytes, 2 * BLOB_MIN);
    assert_int_equal(c.images, 4); /* both of aa, bb, and zz */
    assert_int_equal(c.images_bytes, 20);
    assert_int_equal(c.runs_left, 3);
    assert_true(c.bytes_left > 4 * BLOB_MIN && c.bytes_left < 4 * BLOB_MIN + 3 * 500 * 30);
    assert_int_equal(count_blobs(*state), 4 + 1);
    assert_int_equal(scratch_count(*state, "images"), 3);
    assert_int_equal(journal_find(j, "old-1", false, &(struct journal_row){0}, NULL), ERROR_NOT_FOUND);
    assert_int_equal(world_count(j, "new"), 500);
    assert_int_equal(world_count(j, "running"), 500);
    /* Nothing more to do; and then all of it. */
    c = collect(j, limit, false);
    assert_true(c.runs == 0 && c.blobs == 0 && c.images == 0 && c.runs_left == 3);
    world_end(running);
    assert_int_equal(stat(scratch_path(*state, "journal.db"), &before_st), 0);
    c = collect(j, UINT64_MAX, false);
    assert_true(c.runs == 2 && c.runs_left == 1);
    journal_close(j);
    assert_int_equal(stat(scratch_path(*state, "journal.db"), &after_st), 0);
    assert_true(after_st.st_size < before_st.st_size);
    world_check(*state);
}

static void leaves_the_young_alone(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    world_end(put(j, "run-1", "aa.image"));
    scratch_write(*state, "images/zz.image", "12345");
    char temporary[64];
    leave_temporary(*state, temporary);
    struct journal_collection c = collect(j, UINT64_MAX, false);
    assert_true(c.runs == 1 && c.blobs == 0 && c.images == 0);
    assert_int_equal(count_blobs(*state), 2 + 1);
    journal_set_young(j, 0);
    c = collect(j, UINT64_MAX, false);
    assert_true(c.runs == 0 && c.blobs == 2 && c.images == 1);
    assert_int_equal(count_blobs(*state), 0);
    journal_close(j);
}

static void an_empty_journal_has_nothing(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_collection c = collect(j, UINT64_MAX, false), none = {0};
    assert_memory_equal(&c, &none, sizeof c);
    journal_close(j);
}

static void gives_many_pages_back(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct stat st;
    for (int i = 0; i < 130; i++) {
        char id[16];
        snprintf(id, sizeof id, "run-%d", i);
        struct journal_run *r = world_new(j, id, false, NULL);
        world_append_range(r, 1, 300);
        journal_set_state(r, JOURNAL_ENDED, 2, 0, NULL, NULL);
        journal_run_close(r);
    }
    struct journal_collection c = collect(j, UINT64_MAX, false);
    assert_true(c.runs == 130 && c.runs_left == 0 && c.bytes_left == 0 + c.bytes_left);
    journal_close(j);
    j = journal_world_open(*state, JOURNAL_CREATE);
    collect(j, 0, false);
    journal_close(j);
    assert_int_equal(stat(scratch_path(*state, "journal.db"), &st), 0);
    assert_true(st.st_size < 100000);
}

/* --- beside writers ------------------------------------------------------------------------------------------ */

static atomic_bool over;

/* Runs that end and whose values are like each other's, again and again: what one has written another may remove. */
static void *write_values(void *argument) {
    struct journal *j = argument;
    static atomic_uint numbers;
    char value[BLOB_MIN];
    unsigned seed = atomic_fetch_add(&numbers, 1) * 1000;
    for (int i = 0; i < 150; i++) {
        char id[32];
        unsigned number = atomic_fetch_add(&numbers, 1);
        snprintf(id, sizeof id, "run-%u", number);
        struct journal_run *r = NULL;
        struct journal_begin begin = world_begin(id);
        begin.app = number % 2 ? "one" : "two";
        begin.app_n = 3;
        assert_int_equal(journal_run_new(j, &begin, number % 3, NULL, &r, NULL, NULL), 0);
        memset(value, rand_r(&seed) % 3, sizeof value);
        world_append(r, 1, value, sizeof value, true);
        world_await(r, 1);
        world_append(r, 2, value, sizeof value, true);
        world_await(r, 2);
        /* What a run that hasn't ended needs is there. */
        CLEANUP(buffer_done) struct buffer read = BUFFER_INIT(1 << 20);
        struct event_text text = {.n = sizeof value, .in_blob = true};
        struct error err = {0};
        digest_bytes(NULL, value, sizeof value, text.digest);
        if (journal_text(j, &text, &read, &err))
            fail_msg("%s", err.message);
        CLEANUP(journal_row_done) struct journal_row row = world_find(j, id);
        world_end(r);
    }
    return NULL;
}

static void *collect_always(void *argument) {
    struct journal *j = argument;
    journal_set_young(j, 0); /* the hardest case */
    while (!atomic_load(&over))
        collect(j, UINT64_MAX, false);
    return NULL;
}

static void takes_nothing_from_writers(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE),
                   *other = journal_world_open(*state, JOURNAL_CREATE);
    pthread_t writers[3], collector;
    assert_int_equal(pthread_create(&collector, NULL, collect_always, other), 0);
    for (size_t i = 0; i < COUNT(writers); i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_values, j), 0);
    for (size_t i = 0; i < COUNT(writers); i++)
        pthread_join(writers[i], NULL);
    atomic_store(&over, true);
    pthread_join(collector, NULL);
    struct journal_collection c = collect(other, UINT64_MAX, false);
    assert_int_equal(c.runs_left, 0);
    journal_close(j);
    journal_close(other);
    assert_int_equal(count_blobs(*state), 0);
    world_check(*state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(images_are_needed_until_the_end, make, drop),
        cmocka_unit_test_setup_teardown(removes_what_ended_long_ago, make, drop),
        cmocka_unit_test_setup_teardown(leaves_the_young_alone, make, drop),
        cmocka_unit_test_setup_teardown(an_empty_journal_has_nothing, make, drop),
        cmocka_unit_test_setup_teardown(gives_many_pages_back, make, drop),
        cmocka_unit_test_setup_teardown(takes_nothing_from_writers, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
