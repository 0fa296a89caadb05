/* Who executes a run: leases of the living, the dead, the stopped; zombies; two who want the same. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "journal_world.h"
#include "scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int make(void **state) {
    *state = scratch_new();
    return 0;
}

static int drop(void **state) {
    scratch_free(*state);
    return 0;
}

/* --- processes ------------------------------------------------------------------------------------------- */

struct child {
    pid_t pid;
    int to, from; /* pipes */
};

struct place {
    const char *dir;
    uint64_t lease_ns;
    int to, from; /* the child's ends */
};

/* Runs a function in a process of its own; with `from` it tells how far it is. */
static struct child start(int (*function)(const struct place *), const char *dir, uint64_t lease_ns) {
    int down[2], up[2];
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(down[1]);
        close(up[0]);
        _exit(function(&(struct place){dir, lease_ns, up[1], down[0]}));
    }
    close(down[0]);
    close(up[1]);
    return (struct child){pid, down[1], up[0]};
}

static void say(int fd, char c) {
    assert_int_equal(write(fd, &c, 1), 1);
}

static char hear(int fd) {
    char c = '?';
    assert_int_equal(read(fd, &c, 1), 1);
    return c;
}

static int finish(struct child *c) {
    int status;
    close(c->to);
    close(c->from);
    assert_true(waitpid(c->pid, &status, 0) == c->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Begins run-1 with ten events, says so, and waits to be told to go on; then appends an eleventh. Exits with what came of it. */
static int execute(const struct place *p) {
    struct error err = {0};
    struct told told = {0};
    struct journal *j = journal_world_open(p->dir, JOURNAL_CREATE);
    if (p->lease_ns)
        journal_set_lease(j, p->lease_ns);
    struct journal_run *r = world_new(j, "run-1", false, &told);
    world_await(r, world_append_range(r, 1, 10));
    say(p->to, 'b');
    hear(p->from);
    int status = journal_await(r, world_append(r, 11, "11", 2, true), &err);
    if (status == ERROR_CANCELLED &&
        (!strstr(err.message, "taken over by process") || !strstr(err.message, "run-1")))
        return 99;
    journal_run_close(r);
    unsigned failures = told.failures; /* told before the run was closed */
    journal_close(j);
    return status ? (failures == 1 ? -status : 98) : 0;
}

/* --- alive and dead -------------------------------------------------------------------------------------- */

static void the_living_keep_their_runs(void **state) {
    struct error err = {0};
    struct journal_run *r = NULL;
    char pid[32];
    struct child c = start(execute, *state, 0);
    assert_int_equal(hear(c.from), 'b');
    struct journal *j = journal_world_open(*state, JOURNAL_WRITE);
    assert_int_equal(journal_run_take(j, "run-1", NULL, &r, &err), ERROR_CANCELLED);
    snprintf(pid, sizeof pid, "process %d (since 20", c.pid);
    assert_contains(err.message, pid);
    assert_contains(err.message, "run-1");
    CLEANUP(journal_row_done) struct journal_row row = world_find(j, "run-1");
    assert_true(row.alive && row.pid == c.pid);
    say(c.to, 'g');
    assert_int_equal(finish(&c), 0);
    journal_row_done(&row);
    row = world_find(j, "run-1");
    assert_false(row.alive);
    r = world_take(j, "run-1", NULL);
    journal_run_close(r);
    assert_int_equal(world_count(j, "run-1"), 11);
    journal_close(j);
    assert_int_equal(scratch_count(*state, "leases"), 0);
}

static void the_dead_give_theirs_up_at_once(void **state) {
    struct child c = start(execute, *state, 0);
    assert_int_equal(hear(c.from), 'b');
    struct journal *j = journal_world_open(*state, JOURNAL_WRITE);
    kill(c.pid, SIGKILL);
    assert_int_equal(finish(&c), 128 + SIGKILL);
    assert_int_equal(scratch_count(*state, "leases"), 1);
    CLEANUP(journal_row_done) struct journal_row row = world_find(j, "run-1");
    assert_false(row.alive);
    assert_int_equal(row.state, JOURNAL_RUNNING);
    struct journal_run *r = world_take(j, "run-1", NULL);
    assert_int_equal(scratch_count(*state, "leases"), 1); /* ours; the dead one's file is gone */
    world_append_range(r, 11, 20);
    journal_run_close(r);
    assert_int_equal(world_count(j, "run-1"), 20);
    journal_close(j);
    assert_int_equal(scratch_count(*state, "leases"), 0);
}

static void a_lease_is_renewed(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE),
                   *other = journal_world_open(*state, JOURNAL_CREATE);
    struct error err = {0};
    struct told told = {0};
    struct journal_run *r, *no = NULL;
    journal_set_lease(j, 300 * NS_PER_MS);
    r = world_new(j, "run-1", false, &told);
    world_await(r, world_append_range(r, 1, 1));
    for (int i = 0; i < 12; i++) {
        usleep(100000);
        assert_int_equal(journal_run_take(other, "run-1", NULL, &no, &err), ERROR_CANCELLED);
    }
    world_end(r);
    journal_close(j);
    journal_close(other);
    assert_int_equal(told.failures, 0);
}

/* --- zombies ----------------------------------------------------------------------------------------------- */

static void a_stopped_process_loses_its_run(void **state) {
    struct error err = {0};
    struct journal_run *r = NULL;
    struct child c = start(execute, *state, 200 * NS_PER_MS);
    assert_int_equal(hear(c.from), 'b');
    struct journal *j = journal_world_open(*state, JOURNAL_WRITE);
    kill(c.pid, SIGSTOP);
    assert_int_equal(journal_run_take(j, "run-1", NULL, &r, &err), ERROR_CANCELLED);
    usleep(300000);
    r = world_take(j, "run-1", NULL);
    say(c.to, 'g');
    kill(c.pid, SIGCONT);
    assert_int_equal(finish(&c), -ERROR_CANCELLED);
    world_append_range(r, 11, 30);
    world_end(r);
    assert_int_equal(world_count(j, "run-1"), 30);
    journal_close(j);
    world_check(*state);
}

static void an_expired_lease_nobody_wants_goes_on(void **state) {
    struct child c = start(execute, *state, 100 * NS_PER_MS);
    assert_int_equal(hear(c.from), 'b');
    kill(c.pid, SIGSTOP);
    usleep(300000);
    say(c.to, 'g');
    kill(c.pid, SIGCONT);
    assert_int_equal(finish(&c), 0);
    assert_int_equal(world_count_in(*state, "run-1"), 11);
}

/* Of several runs of a process only the lost one fails; in every kind of write. */
static void a_zombie_writes_nothing(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE),
                   *thief = journal_world_open(*state, JOURNAL_CREATE);
    struct told told[5] = {0};
    struct journal_run *r[5], *stolen[4];
    struct error err = {0};
    static const char *const ids[] = {"run-0", "run-1", "run-2", "run-3", "mine"};
    static char value[BLOB_MIN];
    for (size_t i = 0; i < COUNT(ids); i++) {
        r[i] = world_new(j, ids[i], i % 2, &told[i]);
        world_await(r[i], world_append_range(r[i], 1, 5));
    }
    /* As if it had been stopped for long: the leases ran out. */
    sleep(1); /* past the first renewal, if one was due */
    pthread_mutex_lock(&j->lock);
    j->renewed_at = UINT64_MAX / 2;
    pthread_mutex_unlock(&j->lock);
    struct database *d = NULL;
    assert_int_equal(outside_begin(thief, &d, &err), 0);
    assert_int_equal(database_run(d, "UPDATE run SET lease_until = 1 WHERE id <> 'mine'", &err), 0);
    outside_end(&thief);
    for (size_t i = 0; i < COUNT(stolen); i++)
        stolen[i] = world_take(thief, ids[i], NULL);
    world_append(r[0], 6, "6", 1, false);
    world_append(r[1], 6, value, sizeof value, false);
    journal_set_state(r[2], JOURNAL_ENDED, 2, 0, NULL, NULL);
    world_await(r[4], world_append_range(r[4], 6, 9));
    pthread_mutex_lock(&j->lock);
    j->renewed_at = 0; /* run-3 hears of it when its lease is to be renewed */
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    for (size_t i = 0; i < COUNT(stolen); i++) {
        world_wait(&told[i].failures, 1);
        assert_int_equal(told[i].why.code, ERROR_CANCELLED);
        assert_contains(told[i].why.message, ids[i]);
        assert_int_equal(journal_await(r[i], world_append(r[i], 7, "7", 1, true), &err), ERROR_CANCELLED);
        journal_run_close(r[i]);
        CLEANUP(journal_row_done) struct journal_row row = world_find(thief, ids[i]);
        assert_true(row.alive && row.state == JOURNAL_RUNNING);
        world_append_range(stolen[i], 6, 6);
        world_end(stolen[i]);
        assert_int_equal(world_count(thief, ids[i]), 6);
        assert_int_equal(told[i].failures, 1);
    }
    world_end(r[4]);
    assert_int_equal(told[4].failures, 0);
    assert_int_equal(world_count(thief, "mine"), 9);
    journal_close(j);
    journal_close(thief);
    world_check(*state);
}

static void a_removed_run_is_lost_too(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct told told = {0};
    struct error err = {0};
    struct journal_run *r = world_new(j, "run-1", false, &told);
    world_await(r, world_append_range(r, 1, 5));
    world_await(r, journal_set_state(r, JOURNAL_ENDED, 2, 0, NULL, NULL));
    assert_int_equal(journal_collect(j, UINT64_MAX, false, NULL, &err), 0);
    struct journal_run *other = world_new(j, "run-2", false, NULL); /* takes the number of the row */
    world_await(other, world_append_range(other, 1, 5));
    assert_int_equal(journal_await(r, world_append(r, 6, "6", 1, true), &err), ERROR_CANCELLED);
    assert_contains(err.message, "removed");
    journal_run_close(r);
    world_end(other);
    assert_int_equal(world_count(j, "run-2"), 5);
    journal_close(j);
}

/* --- other machines, other starts -------------------------------------------------------------------------- */

static void set_row(struct journal *j, const char *sql) {
    struct database *d = NULL;
    struct error err = {0};
    assert_int_equal(outside_begin(j, &d, &err), 0);
    if (database_run(d, sql, &err))
        fail_msg("%s", err.message);
    outside_end(&j);
}

static void leases_of_an_earlier_start_are_free(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE),
                   *other = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "run-1", false, NULL), *no = NULL;
    struct error err = {0};
    world_await(r, world_append_range(r, 1, 1));
    assert_int_equal(journal_run_take(other, "run-1", NULL, &no, &err), ERROR_CANCELLED);
    set_row(other, "UPDATE run SET boot = '01234567-89ab-cdef-0123-456789abcdef'");
    no = world_take(other, "run-1", NULL);
    journal_run_close(no);
    /* Names that lead out of the folder are nobody's. */
    set_row(other, "UPDATE run SET owner = '../journal.db'");
    no = world_take(other, "run-1", NULL);
    journal_run_close(no);
    journal_run_close(r);
    journal_close(j);
    journal_close(other);
    assert_true(scratch_exists(*state, "journal.db"));
}

static void lease_files_of_the_dead_go(void **state) {
    struct journal *j = journal_world_open(*state, JOURNAL_CREATE);
    struct journal_run *r = world_new(j, "run-1", false, NULL);
    world_await(r, world_append_range(r, 1, 1));
    scratch_write(*state, "leases/123.0123456789abcdef", "");
    scratch_write(*state, "leases/README", "");
    assert_int_equal(journal_collect(j, 0, false, NULL, NULL), 0);
    assert_int_equal(scratch_count(*state, "leases"), 2);
    journal_run_close(r);
    journal_close(j);
    assert_int_equal(scratch_count(*state, "leases"), 1);
}

/* --- several at once --------------------------------------------------------------------------------------- */

/* Takes run-1 when told to. 0: it won; 1: another was named. */
static int compete(const struct place *p) {
    struct error err = {0};
    struct journal_run *r = NULL;
    struct journal *j = journal_world_open(p->dir, JOURNAL_WRITE);
    say(p->to, 'r');
    hear(p->from);
    int status = journal_run_take(j, "run-1", NULL, &r, &err);
    if (status && (status != ERROR_CANCELLED || !strstr(err.message, "being executed by process")))
        return 97;
    say(p->to, status ? 'l' : 'w');
    hear(p->from);
    if (r) {
        world_append_range(r, 1, 100);
        journal_run_close(r);
    }
    journal_close(j);
    return status ? 1 : 0;
}

static void of_two_takers_one_wins(void **state) {
    enum { TAKERS = 4, ROUNDS = 15 };
    for (int round = 0; round < ROUNDS; round++) {
        CLEANUP(cleanup_free) char *dir = strdup(scratch_path(*state, (char[]){(char)('a' + round), '\0'}));
        struct child c[TAKERS];
        int winners = 0;
        struct journal *j = journal_world_open(dir, JOURNAL_CREATE);
        journal_run_close(world_new(j, "run-1", false, NULL));
        journal_close(j);
        for (int i = 0; i < TAKERS; i++)
            c[i] = start(compete, dir, 0);
        for (int i = 0; i < TAKERS; i++)
            assert_int_equal(hear(c[i].from), 'r');
        for (int i = 0; i < TAKERS; i++)
            say(c[i].to, 'g');
        for (int i = 0; i < TAKERS; i++)
            assert_true(strchr("wl", hear(c[i].from)) != NULL);
        for (int i = 0; i < TAKERS; i++) {
            say(c[i].to, 'g');
            winners += finish(&c[i]) == 0;
        }
        assert_int_equal(winners, 1);
        assert_int_equal(world_count_in(dir, "run-1"), 100);
    }
}

/* Makes the journal, and fifty runs of its own. */
static int populate(const struct place *p) {
    hear(p->from);
    struct journal *j = journal_world_open(p->dir, JOURNAL_CREATE);
    for (int i = 0; i < 50; i++) {
        char id[32];
        snprintf(id, sizeof id, "%d.%d", getpid(), i);
        struct journal_run *r = world_new(j, id, i % 5 == 0, NULL);
        world_append_range(r, 1, 40);
        world_end(r);
    }
    journal_close(j);
    return 0;
}

static int count_row(void *user, const struct journal_row *row) {
    struct journal *j = ((void **)user)[0];
    assert_int_equal(world_count(j, row->id), 40);
    ++*(unsigned *)((void **)user)[1];
    return 0;
}

static void processes_share_a_journal(void **state) {
    enum { PROCESSES = 4 };
    const char *dir = scratch_path(*state, ".capsule");
    struct child c[PROCESSES];
    unsigned n = 0;
    for (int i = 0; i < PROCESSES; i++)
        c[i] = start(populate, dir, 0);
    for (int i = 0; i < PROCESSES; i++)
        say(c[i].to, 'g');
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(finish(&c[i]), 0);
    struct journal *j = journal_world_open(dir, JOURNAL_READ);
    void *user[] = {j, &n};
    assert_int_equal(journal_list(j, NULL, count_row, user, NULL), 0);
    assert_int_equal(n, PROCESSES * 50);
    journal_close(j);
    world_check(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_living_keep_their_runs, make, drop),
        cmocka_unit_test_setup_teardown(the_dead_give_theirs_up_at_once, make, drop),
        cmocka_unit_test_setup_teardown(a_lease_is_renewed, make, drop),
        cmocka_unit_test_setup_teardown(a_stopped_process_loses_its_run, make, drop),
        cmocka_unit_test_setup_teardown(an_expired_lease_nobody_wants_goes_on, make, drop),
        cmocka_unit_test_setup_teardown(a_zombie_writes_nothing, make, drop),
        cmocka_unit_test_setup_teardown(a_removed_run_is_lost_too, make, drop),
        cmocka_unit_test_setup_teardown(leases_of_an_earlier_start_are_free, make, drop),
        cmocka_unit_test_setup_teardown(lease_files_of_the_dead_go, make, drop),
        cmocka_unit_test_setup_teardown(of_two_takers_one_wins, make, drop),
        cmocka_unit_test_setup_teardown(processes_share_a_journal, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
