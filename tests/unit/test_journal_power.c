/* The power goes at random moments: of durable runs nothing acknowledged is lost, and the database is always sound. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "journal_power.h"
#include "journal_world.h"
#include "scratch.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* A new disk every so often, so that there's little to look through. */
enum { RUNS = 3, LOSSES = 15, ROUNDS = 20, OTHER_ROUNDS = 6 };

static struct world {
    char *folder; /* with "disk", and what is left after each loss */
    char *disk;
    bool durable[RUNS];
    _Atomic uint64_t acknowledged[RUNS];
    atomic_bool over;
    pthread_t thread;
    unsigned seed;
} world;

/* --- those who write --------------------------------------------------------------------------------------- */

struct job {
    pthread_t thread;
    struct journal *journal;
    unsigned number, seed, steps;
    uint64_t n;
};

static void *write_steps(void *argument) {
    struct job *job = argument;
    char id[16], large[BLOB_MIN], text[256];
    struct journal_run *r;
    snprintf(id, sizeof id, "run-%u", job->number);
    memset(text, 'x', sizeof text);
    r = job->n == 0 ? world_new(job->journal, id, world.durable[job->number], NULL)
                    : world_take(job->journal, id, NULL);
    for (unsigned i = 0; i < job->steps && !atomic_load(&world.over); i++) {
        uint64_t position = world_append_range(r, job->n + 1, job->n + 3);
        job->n += 3;
        position = world_append(r, ++job->n, text, (size_t)rand_r(&job->seed) % 200 + 32, true);
        if (rand_r(&job->seed) % 16 == 0) {
            memset(large, 0, sizeof large);
            /* Often one that another run wrote before. */
            snprintf(large, sizeof large, "%llu", (unsigned long long)job->n / 32);
            position = world_append(r, ++job->n, large, sizeof large, false);
        }
        world_await(r, position);
        atomic_store(&world.acknowledged[job->number], job->n);
    }
    journal_run_close(r);
    return NULL;
}

/* Opens and closes the journal again and again, so that logs are moved, and truncated, and begun anew. */
static void *live(void *unused) {
    struct job jobs[RUNS] = {0};
    while (!atomic_load(&world.over)) {
        struct journal *j = journal_world_open(world.disk, JOURNAL_CREATE);
        unsigned steps = (unsigned)rand_r(&world.seed) % 30 + 1;
        for (unsigned i = 0; i < RUNS; i++) {
            jobs[i].journal = j;
            jobs[i].number = i;
            jobs[i].seed = (unsigned)rand_r(&world.seed);
            jobs[i].steps = steps;
            assert_int_equal(pthread_create(&jobs[i].thread, NULL, write_steps, &jobs[i]), 0);
        }
        for (unsigned i = 0; i < RUNS; i++)
            pthread_join(jobs[i].thread, NULL);
        if (rand_r(&world.seed) % 4 == 0)
            assert_int_equal(journal_collect(j, 0, false, NULL, NULL), 0);
        journal_close(j);
    }
    return unused;
}

/* --- those who look at what is left --------------------------------------------------------------------- */

static void note_acknowledged(void *user) {
    uint64_t *at = user;
    for (unsigned i = 0; i < RUNS; i++)
        at[i] = atomic_load(&world.acknowledged[i]);
}

static bool never(void *user) {
    (void)user;
    return false;
}

struct looked {
    struct journal *journal;
    uint64_t events;
};

static int look_at_event(void *user, const struct event *event) {
    struct looked *l = user;
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(1 << 20);
    struct error err = {0};
    assert_int_equal(event->numbers[0], l->events + 1);
    if (journal_text(l->journal, &event->texts[0], &text, &err))
        return 1; /* of a run that isn't durable, a value may be lost */
    l->events++;
    return 0;
}

/* The number of events that a run still has, with their values. */
static uint64_t look_at_run(struct journal *j, const char *id) {
    struct looked l = {.journal = j};
    struct error err = {0};
    uint64_t after = 0;
    int status = journal_events(j, id, &after, look_at_event, &l, &err);
    if (status && status != 1 && status != ERROR_NOT_FOUND)
        fail_msg("%s", err.message);
    return l.events;
}

/* How many of the runs lost something acknowledged. */
static unsigned look(const char *left, const uint64_t acknowledged[RUNS], bool all_durable) {
    struct journal *j = NULL;
    struct error err = {0};
    CLEANUP(buffer_done) struct buffer problems = BUFFER_INIT(1 << 20);
    unsigned losses = 0;
    int status = journal_open(left, JOURNAL_CREATE, &j, &err);
    if (status)
        fail_msg("%s", err.message);
    /* Values of runs that aren't durable may be damaged; the database never is. */
    if (journal_verify(j, &problems, &err))
        fail_msg("%s", err.message);
    if (all_durable)
        assert_string_equal(buffer_text(&problems), "");
    assert_null(strstr(buffer_text(&problems), "journal.db"));
    assert_null(strstr(buffer_text(&problems), "frame"));
    for (unsigned i = 0; i < RUNS; i++) {
        char id[16];
        snprintf(id, sizeof id, "run-%u", i);
        uint64_t found = look_at_run(j, id);
        if (world.durable[i] && acknowledged[i]) {
            CLEANUP(journal_row_done)
            struct journal_row row = world_find(j, id); /* and how to open its application */
        }
        if (found >= acknowledged[i])
            continue;
        if (world.durable[i])
            fail_msg("run %u had %llu events on record, and %llu are left", i, (unsigned long long)acknowledged[i],
                     (unsigned long long)found);
        losses++;
    }
    journal_close(j);
    return losses;
}

static unsigned lose_power(unsigned losses_n, unsigned seed, bool all_durable) {
    unsigned losses = 0;
    for (unsigned i = 0; i < losses_n; i++) {
        CLEANUP(cleanup_free) char *left = strdup(scratch_path(world.folder, "left"));
        uint64_t acknowledged[RUNS];
        char command[600];
        scratch_mkdir(world.folder, "left");
        assert_true(power_lose(left, (unsigned)rand_r(&seed) % 60 + 1, (unsigned)rand_r(&seed), note_acknowledged,
                               never, acknowledged));
        losses += look(left, acknowledged, all_durable);
        snprintf(command, sizeof command, "rm -rf '%s'", left);
        assert_int_equal(system(command), 0);
    }
    return losses;
}

/* A new disk, on which a few runs are written until the power has gone often enough. */
static unsigned try(const bool durable[RUNS], unsigned seed) {
    bool all = true;
    world = (struct world){.folder = scratch_new(), .seed = seed};
    world.disk = strdup(scratch_path(world.folder, "disk"));
    for (unsigned i = 0; i < RUNS; i++)
        all &= world.durable[i] = durable[i];
    power_watch(world.disk);
    assert_int_equal(pthread_create(&world.thread, NULL, live, NULL), 0);
    unsigned losses = lose_power(LOSSES, seed, all);
    atomic_store(&world.over, true);
    pthread_join(world.thread, NULL);
    power_watch(NULL);
    for (unsigned i = 0; i < RUNS; i++)
        assert_true(atomic_load(&world.acknowledged[i]) > 0);
    free(world.disk);
    scratch_free(world.folder);
    return losses;
}

static void durable_runs_lose_nothing(void **state) {
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++)
        assert_int_equal(try((const bool[RUNS]){true, true, true}, round + 1), 0);
}

/* Not even beside others that aren't. */
static void durable_runs_among_others_lose_nothing(void **state) {
    (void)state;
    for (unsigned round = 0; round < OTHER_ROUNDS; round++)
        try((const bool[RUNS]){true, false, true}, 100 + round);
}

/* Without which the tests above would prove nothing. */
static void other_runs_lose_something_at_times(void **state) {
    (void)state;
    unsigned losses = 0;
    for (unsigned round = 0; round < OTHER_ROUNDS; round++)
        losses += try((const bool[RUNS]){false, false, false}, 200 + round);
    print_message("%u of %d times a run lost something\n", losses, OTHER_ROUNDS * LOSSES * RUNS);
    assert_true(losses > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durable_runs_lose_nothing),
        cmocka_unit_test(durable_runs_among_others_lose_nothing),
        cmocka_unit_test(other_runs_lose_something_at_times),
    };
    power_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
