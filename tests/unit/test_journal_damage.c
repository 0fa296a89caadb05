/* What a journal meets: other versions, folders that can't be written, full disks, locks of others, damaged files, and each call of the host
 * failing once. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "base/fault.h"
#include "journal_world.h"
#include "scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, FLIPS = 400, POINTS_MAX = 2000 };

static char large[BLOB_MIN + 100];

static int make(void **state) {
    *state = scratch_new();
    memset(large, 'x', sizeof large);
    return 0;
}

static int drop(void **state) {
    scratch_free(*state);
    return 0;
}

/* Two runs: one that ended, with ten events in ten frames, and one with a value of its own. */
static void fill(const char *dir) {
    struct journal *j = journal_world_open(dir, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "ended", false, NULL);
    for (uint64_t i = 1; i <= 10; i++)
        world_await(r, world_append_range(r, i, i));
    world_end(r);
    r = world_new(j, "open", false, NULL);
    world_append(r, 1, large, sizeof large, false);
    world_append_range(r, 2, 300);
    journal_run_close(r);
    journal_close(j);
}

static void run_sql(const char *dir, const char *sql) {
    struct database *d = NULL;
    struct error err = {0};
    if (database_open(dir, true, false, &d, &err) || database_run(d, sql, &err))
        fail_msg("%s", err.message);
    database_checkpoint(d, true);
    database_close(d);
}

/* --- versions ---------------------------------------------------------------------------------------------- */

static void assert_newer(int status, const struct error *err) {
    assert_int_equal(status, ERROR_UNSUPPORTED);
    assert_contains(err->message, "version 7");
    assert_contains(err->message, "up to 1");
    assert_contains(err->hint, "newer");
}

static void refuses_a_newer_version(void **state) {
    struct journal *j = NULL;
    struct error err = {0};
    struct told told = {0};
    fill(*state);
    run_sql(*state, "PRAGMA user_version = 7");
    assert_newer(journal_open(*state, JOURNAL_READ, &j, &err), &err);
    assert_newer(journal_open(*state, JOURNAL_WRITE, &j, &err), &err);
    /* Here the writer's thread finds it. */
    j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = NULL;
    struct journal_begin begin = world_begin("new");
    struct journal_callbacks callbacks = world_callbacks(&told);
    if (journal_run_new(j, &begin, true, &callbacks, &r, NULL, &err) == 0) {
        assert_newer(journal_await(r, world_append_range(r, 1, 1), &err), &err);
        journal_run_close(r);
        assert_int_equal(told.failures, 1);
    }
    /* Now it's known. */
    assert_newer(journal_run_new(j, &begin, true, &callbacks, &r, NULL, &err), &err);
    assert_newer(journal_run_new(j, &begin, false, &callbacks, &r, NULL, &err), &err);
    journal_close(j);
}

static void brings_an_unfinished_one_up_to_date(void **state) {
    struct journal *j = NULL;
    struct error err = {0};
    scratch_write(*state, "journal.db", "");
    assert_int_equal(journal_open(*state, JOURNAL_READ, &j, &err), ERROR_NOT_FOUND);
    assert_int_equal(journal_open(*state, JOURNAL_WRITE, &j, &err), ERROR_NOT_FOUND);
    fill(*state);
    assert_int_equal(world_count_in(*state, "ended"), 10);
}

/* --- places that can't be written -------------------------------------------------------------------------- */

static int read_it(const char *dir, enum journal_mode mode, struct error *err) {
    struct journal *j = NULL;
    int status = journal_open(dir, mode, &j, err);
    if (status)
        return status;
    uint64_t n = world_count(j, "ended");
    journal_close(j);
    return n == 10 ? 0 : 1;
}

/* 0 if everything is as it should be in a folder that can be read only; with_log: there's a log without its index. */
static int work_read_only(const char *dir, bool without_index) {
    struct error err = {0};
    struct journal *j = NULL;
    struct journal_run *r = NULL;
    int status = read_it(dir, JOURNAL_READ, &err);
    if (without_index)
        return status == ERROR_IO && strstr(err.message, "journal.db-shm") && strstr(err.hint, "copy") ? 0 : 1;
    if (status)
        return 2;
    if (journal_open(dir, JOURNAL_CREATE, &j, &err))
        return 3;
    struct journal_begin begin = world_begin("new");
    status = journal_run_new(j, &begin, false, NULL, &r, NULL, &err);
    journal_close(j);
    if (status != ERROR_IO || !strstr(err.message, dir) || !err.hint[0])
        return 4;
    return 0;
}

static int in_read_only_mount(void *folder) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount(folder, folder, NULL, MS_BIND, NULL) ||
        mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
        return SKIPPED;
    return work_read_only(folder, false);
}

static int as_nobody(void *folder) {
    return work_read_only(folder, false);
}

static int as_nobody_without_index(void *folder) {
    return work_read_only(folder, true);
}

static void give_away(const char *folder) {
    char command[600];
    snprintf(command, sizeof command, "chown -R 65534:65534 '%s' && chmod -R a-w '%s'", folder, folder);
    assert_int_equal(system(command), 0);
}

static void reads_where_it_cannot_write(void **state) {
    if (geteuid() != 0)
        skip();
    fill(*state);
    assert_true(scratch_exists(*state, "journal.db-wal") && scratch_exists(*state, "journal.db-shm"));
    int status = scratch_fork(0, in_read_only_mount, *state);
    if (status != SKIPPED)
        assert_int_equal(status, 0);
    give_away(*state);
    assert_int_equal(scratch_fork(65534, as_nobody, *state), 0);
    unlink(scratch_path(*state, "journal.db-shm"));
    assert_int_equal(scratch_fork(65534, as_nobody_without_index, *state), 0);
    run_sql(*state, "SELECT 1"); /* empties the log */
    unlink(scratch_path(*state, "journal.db-shm"));
    unlink(scratch_path(*state, "journal.db-wal"));
    assert_int_equal(scratch_fork(65534, as_nobody, *state), 0);
    assert_false(scratch_exists(*state, "journal.db-shm"));
}

static int create_in(void *folder) {
    struct error err = {0};
    struct journal *j = NULL;
    int status = journal_open(scratch_path(folder, ".capsule"), JOURNAL_CREATE, &j, &err);
    return status == ERROR_IO && strstr(err.message, ".capsule") && err.hint[0] ? 0 : 1;
}

static void says_that_it_cannot_be_made(void **state) {
    if (geteuid() != 0)
        skip();
    give_away(*state);
    assert_int_equal(scratch_fork(65534, create_in, *state), 0);
}

/* --- full disks -------------------------------------------------------------------------------------------- */

/* Writes until it's refused. 0 if all that was acknowledged is there afterwards and the reason was given. */
static int write_until_full(const char *dir, const char *reason, size_t size) {
    struct journal *j = journal_world_open(dir, JOURNAL_CREATE);
    struct told told = {0};
    struct error err = {0};
    struct journal_run *r = world_new(j, "run-1", false, &told);
    uint64_t n = 0;
    for (;;) {
        memcpy(large, &n, sizeof n); /* each value is another one */
        if (journal_await(r, world_append(r, n + 1, large, size, true), &err))
            break;
        if (++n > 100000)
            return 1;
    }
    if (n == 0 || err.code != ERROR_IO || !strstr(err.message, reason) || !err.hint[0])
        return 2;
    journal_run_close(r);
    if (told.failures != 1)
        return 3;
    journal_close(j);
    return world_count_in(dir, "run-1") == n ? 0 : 4;
}

static int on_full_disk(void *folder) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", folder, "tmpfs", 0, "size=2m,mode=700"))
        return SKIPPED;
    int status = write_until_full(scratch_path(folder, "small"), "full", 1000);
    if (status)
        return status;
    if (mount("none", folder, "tmpfs", 0, "size=2m,mode=700"))
        return SKIPPED;
    status = write_until_full(scratch_path(folder, "large"), "No space left", sizeof large);
    return status ? status + 10 : 0;
}

static void a_full_disk_loses_nothing(void **state) {
    if (geteuid() != 0)
        skip();
    int status = scratch_fork(0, on_full_disk, *state);
    if (status == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static int with_small_files(void *folder) {
    const struct rlimit small = {400 * 1024, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    struct journal *j = journal_world_open(folder, JOURNAL_CREATE);
    world_end(world_new(j, "first", false, NULL));
    journal_close(j);
    if (setrlimit(RLIMIT_FSIZE, &small))
        return SKIPPED;
    return write_until_full(folder, "File too large", 1000);
}

static void a_file_that_may_not_grow_loses_nothing(void **state) {
    int status = scratch_fork(0, with_small_files, *state);
    if (status == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

/* --- locks of others --------------------------------------------------------------------------------------- */

/* A process that holds the right to write for a while. */
static pid_t hold_lock(const char *dir, unsigned ms) {
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct database *d = NULL;
        struct transaction t = {0};
        if (database_open(dir, true, false, &d, NULL) || transaction_begin(&t, d, false, NULL))
            _exit(1);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        usleep(ms * 1000);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void waits_for_locks_but_not_for_ever(void **state) {
    struct error err = {0};
    struct journal_run *no = NULL;
    fill(*state);
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    pid_t pid = hold_lock(*state, 500);
    uint64_t start = clock_monotonic_ns();
    struct journal_run *r = world_new(j, "patient", false, NULL);
    world_await(r, world_append_range(r, 1, 1));
    assert_true(clock_monotonic_ns() - start > 300 * NS_PER_MS);
    waitpid(pid, NULL, 0);
    pid = hold_lock(*state, 60000);
    start = clock_monotonic_ns();
    world_append_range(r, 2, 2);
    /* Reading goes on meanwhile; two writers wait at the same time. */
    assert_int_equal(world_count(j, "ended"), 10);
    assert_int_equal(journal_run_take(j, "open", NULL, &no, &err), ERROR_IO);
    assert_contains(err.message, "locked by another process");
    assert_contains(err.hint, "fuser");
    assert_int_equal(journal_await(r, 2, &err), ERROR_IO);
    assert_contains(err.message, "locked by another process");
    assert_true(clock_monotonic_ns() - start >= DATABASE_BUSY_NS);
    journal_run_close(r);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    world_end(world_new(j, "afterwards", false, NULL));
    journal_close(j);
}

/* --- damage ------------------------------------------------------------------------------------------------ */

static void damage(const char *dir, const char *name, off_t at, unsigned char mask) {
    CLEANUP(cleanup_close) int fd = -1;
    unsigned char byte;
    chmod(scratch_path(dir, name), 0600);
    fd = open(scratch_path(dir, name), O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void copy_file(const char *dir, const char *from, const char *to) {
    char command[1200];
    snprintf(command, sizeof command, "cp '%s/%s' '%s/%s'", dir, from, dir, to);
    assert_int_equal(system(command), 0);
}

static int count_right(void *user, const struct event *event) {
    uint64_t *n = user;
    return event->kind == EVENT_REPLY && event->numbers[0] == *n + 1 ? (++*n, 0) : 1;
}

/* 0: a run is read as it was written. Else an error with words for it. */
static int read_run_again(struct journal *j, const char *id, uint64_t n) {
    struct error err = {0};
    uint64_t after = 0, found = 0;
    int status = journal_events(j, id, &after, count_right, &found, &err);
    assert_int_not_equal(status, 1); /* never wrong events */
    if (status == 0)
        return found == n ? 0 : 1;
    assert_true(err.message[0] != '\0' && err.code == status);
    return status;
}

/* Whatever single byte of the database is damaged: no crash, and nothing wrong is told without verify noticing. */
static void notices_damaged_databases(void **state) {
    unsigned seed = 9, noticed = 0, harmless = 0;
    struct stat st;
    fill(*state);
    run_sql(*state, "SELECT 1");
    copy_file(*state, "journal.db", "good");
    assert_int_equal(stat(scratch_path(*state, "good"), &st), 0);
    for (int i = 0; i < FLIPS; i++) {
        struct error err = {0};
        struct journal *j = NULL;
        CLEANUP(buffer_done) struct buffer problems = BUFFER_INIT(1 << 20);
        copy_file(*state, "good", "journal.db");
        unlink(scratch_path(*state, "journal.db-shm"));
        unlink(scratch_path(*state, "journal.db-wal"));
        damage(*state, "journal.db", (off_t)(rand_r(&seed) % st.st_size), (unsigned char)(1 << rand_r(&seed) % 8));
        int status = journal_open(*state, i % 2 ? JOURNAL_WRITE : JOURNAL_READ, &j, &err);
        if (status) {
            assert_true(err.message[0] && err.hint[0]);
            noticed++;
            continue;
        }
        status = read_run_again(j, "ended", 10);
        int other = read_run_again(j, "open", 300);
        int checked = journal_verify(j, &problems, &err);
        bool sound = checked == 0 && problems.size == 0;
        /* Frames carry checks of their own; a row that is gone is for verify, or the id has changed. */
        noticed += !sound;
        harmless += sound && status == 0 && other == 0;
        journal_close(j);
    }
    print_message("of %d flipped bits %u were noticed, %u changed nothing\n", FLIPS, noticed, harmless);
    assert_true(noticed > FLIPS / 20);
}

static void overwritten_pages_are_reported(void **state) {
    static const char garbage[4096] = "garbage";
    struct error err = {0};
    struct journal *j = NULL;
    CLEANUP(buffer_done) struct buffer problems = BUFFER_INIT(1 << 20);
    struct stat st;
    fill(*state);
    run_sql(*state, "SELECT 1");
    assert_int_equal(stat(scratch_path(*state, "journal.db"), &st), 0);
    /* All but the first: the schema and the version. */
    CLEANUP(cleanup_close) int fd = open(scratch_path(*state, "journal.db"), O_RDWR);
    for (off_t at = sizeof garbage; at < st.st_size; at += (off_t)sizeof garbage)
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, at), sizeof garbage);
    j = journal_world_open(*state, JOURNAL_CREATE);
    CLEANUP(journal_row_done) struct journal_row row = {0};
    assert_int_equal(journal_find(j, "ended", false, &row, &err), ERROR_CORRUPT);
    assert_contains(err.message, "damaged");
    assert_contains(err.hint, "backup");
    assert_int_equal(journal_verify(j, &problems, &err), ERROR_CORRUPT);
    journal_close(j);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, 0), sizeof garbage);
    assert_int_equal(journal_open(*state, JOURNAL_READ, &j, &err), ERROR_CORRUPT);
    assert_contains(err.message, "not a database");
}

static void a_damaged_frame_is_named(void **state) {
    struct error err = {0};
    uint64_t after = 0, n = 0;
    CLEANUP(buffer_done) struct buffer problems = BUFFER_INIT(1 << 20);
    fill(*state);
    run_sql(*state, "UPDATE frame SET events = CAST(x'01' || zeroblob(30) AS BLOB) WHERE n = (1 << 32) + 3");
    struct journal *j = journal_world_open(*state, JOURNAL_WRITE);
    assert_int_equal(journal_events(j, "ended", &after, count_right, &n, &err), ERROR_CORRUPT);
    assert_int_equal(n, 2);
    assert_int_equal(after, 2);
    assert_contains(err.message, "frame 3");
    assert_contains(err.message, "run ended");
    assert_true(err.hint[0] != '\0');
    assert_int_equal(journal_verify(j, &problems, &err), 0);
    assert_contains(buffer_text(&problems), "frame 3 of run ended");
    journal_close(j);
}

static void a_damaged_application_is_named(void **state) {
    struct error err = {0};
    CLEANUP(journal_row_done) struct journal_row row = {0};
    CLEANUP(buffer_done) struct buffer problems = BUFFER_INIT(1 << 20);
    fill(*state);
    run_sql(*state, "UPDATE app SET text = CAST('{}' AS BLOB)");
    struct journal *j = journal_world_open(*state, JOURNAL_WRITE);
    assert_int_equal(journal_find(j, "ended", true, &row, &err), ERROR_CORRUPT);
    assert_contains(err.message, "application");
    assert_int_equal(journal_find(j, "ended", false, &row, &err), 0);
    assert_int_equal(journal_verify(j, &problems, &err), 0);
    assert_contains(buffer_text(&problems), "run ended can't be opened again");
    journal_close(j);
}

static void find_blob(const char *dir, char path[BLOB_PATH_MAX]) {
    struct blob_place place;
    uint8_t digest[DIGEST_SIZE];
    digest_bytes(NULL, large, sizeof large, digest);
    blob_place(digest, &place);
    snprintf(path, BLOB_PATH_MAX, "%s", place.path);
    assert_true(scratch_exists(dir, path));
}

static void damaged_and_missing_values_are_named(void **state) {
    char path[BLOB_PATH_MAX];
    struct error err = {0};
    struct event_text text = {.n = sizeof large, .in_blob = true};
    CLEANUP(buffer_done) struct buffer read = BUFFER_INIT(1 << 20), problems = BUFFER_INIT(1 << 20);
    digest_bytes(NULL, large, sizeof large, text.digest);
    fill(*state);
    find_blob(*state, path);
    struct journal *j = journal_world_open(*state, JOURNAL_WRITE);
    damage(*state, path, 777, 4);
    assert_int_equal(journal_text(j, &text, &read, &err), ERROR_CORRUPT);
    assert_int_equal(read.size, 0);
    assert_contains(err.message, path);
    assert_int_equal(journal_verify(j, &problems, &err), 0);
    assert_contains(buffer_text(&problems), path);
    /* Who writes the same value again mends it. */
    struct journal_run *r = world_new(j, "again", true, NULL);
    world_append(r, 1, large, sizeof large, true);
    world_end(r);
    assert_int_equal(journal_text(j, &text, &read, &err), 0);
    text.n++;
    assert_int_equal(journal_text(j, &text, &read, &err), ERROR_CORRUPT);
    text.n--;
    assert_int_equal(unlink(scratch_path(*state, path)), 0);
    assert_int_equal(journal_text(j, &text, &read, &err), ERROR_NOT_FOUND);
    assert_contains(err.message, path);
    buffer_clear(&problems);
    assert_int_equal(journal_verify(j, &problems, &err), 0);
    assert_contains(buffer_text(&problems), "gone");
    journal_close(j);
}

/* --- each call fails once ---------------------------------------------------------------------------------- */

#ifdef CAPSULE_FAULTS

static int ignore_row(void *user, const struct journal_row *row) {
    (void)user;
    (void)row;
    return 0;
}

/* A process's use of a journal. Every step may fail, with an error that says so; what was acknowledged is told by *acknowledged. */
static int use(const char *dir, unsigned round, uint64_t *acknowledged, struct error *err) {
    CLEANUP(world_close) struct journal *j = NULL;
    CLEANUP(buffer_done) struct buffer problems = BUFFER_INIT(1 << 20);
    struct journal_run *r = NULL;
    char id[16];
    snprintf(id, sizeof id, "r%u", round);
    struct journal_begin begin = world_begin(id);
    begin.durable = round % 2;
    int status = journal_open(dir, JOURNAL_CREATE, &j, err);
    if (status == 0)
        status = journal_run_new(j, &begin, round % 3, NULL, &r, NULL, err);
    if (status)
        return status;
    large[0] = (char)round;
    large[1] = (char)(round >> 8);
    world_append(r, 1, large, sizeof large, false);
    status = journal_await(r, world_append_range(r, 2, 5), err);
    *acknowledged = status ? 0 : 5;
    if (status == 0)
        status = journal_await(r, journal_set_state(r, JOURNAL_SUSPENDED, 0, 9, "w", "e"), err);
    journal_run_close(r);
    r = NULL;
    if (status == 0)
        status = journal_signal(j, id, "s", "1", 1, err);
    if (status == 0)
        status = journal_run_take(j, id, NULL, &r, err);
    if (status)
        return status;
    status = journal_await(r, world_append_range(r, 6, 7), err);
    *acknowledged = status ? 5 : 7;
    journal_run_close(r);
    if (status == 0)
        status = journal_list(j, NULL, ignore_row, NULL, err);
    if (status == 0)
        status = journal_verify(j, &problems, err);
    return status ? status : journal_collect(j, 0, false, NULL, err);
}

static void each_call_of_the_host_may_fail(void **state) {
    unsigned long at = 1;
    unsigned failures = 0;
    for (unsigned round = 1; at < POINTS_MAX; round++, at++) {
        struct error err = {0};
        uint64_t acknowledged = 0;
        const char *dir = scratch_path(*state, at % 2 ? "again" : "new");
        char id[16];
        snprintf(id, sizeof id, "r%u", round);
        fault_arm(at);
        int status = use(dir, round, &acknowledged, &err);
        bool done = fault_visits() < at;
        fault_arm(0);
        if (status && (err.code != status || !err.message[0]))
            fail_msg("point %lu (%s): status %d, message \"%s\"", at, fault_name(), status, err.message);
        failures += status != 0;
        if (acknowledged)
            assert_true(world_count_in(dir, id) >= acknowledged);
        if (at % 2 == 0 && scratch_exists(*state, "new")) {
            world_check(dir);
            char command[600];
            snprintf(command, sizeof command, "rm -rf '%s'", dir);
            assert_int_equal(system(command), 0);
        }
        if (done)
            break;
    }
    world_check(scratch_path(*state, "again"));
    print_message("%lu points, %u failures\n", at, failures);
    assert_true(at > 100 && at < POINTS_MAX && failures > 50);
}

#else

static void each_call_of_the_host_may_fail(void **state) {
    (void)state;
    skip();
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_a_newer_version, make, drop),
        cmocka_unit_test_setup_teardown(brings_an_unfinished_one_up_to_date, make, drop),
        cmocka_unit_test_setup_teardown(reads_where_it_cannot_write, make, drop),
        cmocka_unit_test_setup_teardown(says_that_it_cannot_be_made, make, drop),
        cmocka_unit_test_setup_teardown(a_full_disk_loses_nothing, make, drop),
        cmocka_unit_test_setup_teardown(a_file_that_may_not_grow_loses_nothing, make, drop),
        cmocka_unit_test_setup_teardown(waits_for_locks_but_not_for_ever, make, drop),
        cmocka_unit_test_setup_teardown(notices_damaged_databases, make, drop),
        cmocka_unit_test_setup_teardown(overwritten_pages_are_reported, make, drop),
        cmocka_unit_test_setup_teardown(a_damaged_frame_is_named, make, drop),
        cmocka_unit_test_setup_teardown(a_damaged_application_is_named, make, drop),
        cmocka_unit_test_setup_teardown(damaged_and_missing_values_are_named, make, drop),
        cmocka_unit_test_setup_teardown(each_call_of_the_host_may_fail, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
