/* SIGKILL at random moments: what was acknowledged is there, in order, and the database is sound. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "journal_world.h"
#include "scratch.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS = 4, KILLS = 120, LARGE_EVERY = 37 };

/* Shared with the process that is killed. */
struct acknowledged {
    _Atomic uint64_t events[RUNS];
    atomic_uint begun;
};

static struct acknowledged *shared;
static const char *folder;

static int make(void **state) {
    *state = scratch_new();
    folder = *state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED;
}

static int drop(void **state) {
    munmap(shared, sizeof *shared);
    scratch_free(*state);
    return 0;
}

/* --- the process that is killed -------------------------------------------------------------------------- */

struct job {
    pthread_t thread;
    struct journal *journal;
    unsigned number, seed;
    uint64_t steps;
};

static struct journal_run *open_run(struct journal *j, unsigned number) {
    struct journal_run *r = NULL;
    struct error err = {0};
    bool exists = false;
    char id[16];
    snprintf(id, sizeof id, "run-%u", number);
    struct journal_begin begin = world_begin(id);
    begin.durable = number % 2;
    int status = journal_run_new(j, &begin, false, NULL, &r, &exists, &err);
    return status && exists ? world_take(j, id, NULL) : r;
}

/* Appends events one after another, and notes each that the journal acknowledged. */
static void *write_steps(void *argument) {
    struct job *job = argument;
    static const char large[BLOB_MIN];
    char id[16];
    snprintf(id, sizeof id, "run-%u", job->number);
    struct journal_run *r = open_run(job->journal, job->number);
    uint64_t n = world_count(job->journal, id);
    for (uint64_t i = 0; i < job->steps; i++) {
        uint64_t group = (uint64_t)rand_r(&job->seed) % 5 + 1;
        uint64_t position = world_append_range(r, n + 1, n + group);
        n += group;
        if (i % LARGE_EVERY == job->number)
            position = world_append(r, ++n, large, sizeof large, false);
        world_await(r, position);
        atomic_store(&shared->events[job->number], n);
        atomic_fetch_add(&shared->begun, 1);
    }
    journal_run_close(r);
    return NULL;
}

/* Opens and closes again and again, so that some moments fall into checkpoints and openings. */
static void live(unsigned seed) {
    for (;;) {
        struct journal *j = journal_world_open(folder, JOURNAL_CREATE);
        struct job jobs[RUNS];
        uint64_t steps = (uint64_t)rand_r(&seed) % 200;
        for (unsigned i = 0; i < RUNS; i++) {
            jobs[i] = (struct job){.journal = j, .number = i, .seed = (unsigned)rand_r(&seed), .steps = steps};
            if (pthread_create(&jobs[i].thread, NULL, write_steps, &jobs[i]))
                _exit(1);
        }
        for (unsigned i = 0; i < RUNS; i++)
            pthread_join(jobs[i].thread, NULL);
        if (rand_r(&seed) % 3 == 0 && journal_collect(j, 0, false, NULL, NULL))
            _exit(1);
        journal_close(j);
    }
}

/* --- the test ---------------------------------------------------------------------------------------------- */

static void check_what_is_there(void) {
    struct journal *j = journal_world_open(folder, JOURNAL_CREATE);
    for (unsigned i = 0; i < RUNS; i++) {
        char id[16];
        snprintf(id, sizeof id, "run-%u", i);
        struct journal_row row = {0};
        struct error err = {0};
        uint64_t acknowledged = atomic_load(&shared->events[i]);
        int status = journal_find(j, id, true, &row, &err);
        if (status == ERROR_NOT_FOUND && acknowledged == 0)
            continue;
        if (status)
            fail_msg("%s", err.message);
        assert_true(world_count(j, id) >= acknowledged);
        assert_false(row.alive);
        journal_row_done(&row);
    }
    journal_close(j);
}

static void loses_nothing_acknowledged(void **state) {
    (void)state;
    unsigned seed = 5;
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        unsigned before = atomic_load(&shared->begun);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            live((unsigned)rand_r(&seed) + (unsigned)kill_number);
        /* Half of the time something has been acknowledged, half of the time it's killed wherever it is. */
        while (kill_number % 2 && atomic_load(&shared->begun) == before)
            usleep(100);
        usleep((useconds_t)rand_r(&seed) % 30000);
        kill(pid, SIGKILL);
        int status;
        assert_true(waitpid(pid, &status, 0) == pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (!scratch_exists(folder, "journal.db"))
            continue;
        check_what_is_there();
        if (kill_number % 10 == 0)
            world_check(folder);
    }
    world_check(folder);
    for (unsigned i = 0; i < RUNS; i++)
        assert_true(atomic_load(&shared->events[i]) > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loses_nothing_acknowledged, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
