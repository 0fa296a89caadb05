/* `capsule worker`: brings back suspended runs when their time or their signal has come. */
#include "base/clock.h"
#include "command.h"
#include "recorded.h"
#include "run_pool.h"
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { WORKER_JOBS, WORKER_ONCE, WORKER_PROJECT, WORKER_TIMERS, WORKER_OPTIONS };

#define LOOK_EVERY NS_PER_S
#define PENDING_EVERY (20 * NS_PER_MS) /* how soon it's seen that nothing is left to do */

static const struct option options[] = {
    [WORKER_JOBS] = {"jobs", "N", "go on with at most N runs at once, instead of one per core", 0},
    [WORKER_ONCE] = {"once", NULL, "go on with the runs that are due now, and end", 0},
    [WORKER_PROJECT] = RECORDED_PROJECT_OPTION,
    [WORKER_TIMERS] = {"timers", NULL, "bring back suspended runs of the project", 0},
};

static const char details[] =
    "Stays in the foreground and goes on with the suspended runs of the project whose time or signal has\n"
    "come, several at once, each until it ends or is suspended again. A line on standard error tells of\n"
    "each; what tasks write is recorded (`capsule logs RUN`). Any number of workers may look after one\n"
    "project.\n"
    "\n"
    "SIGINT (Ctrl-C), SIGTERM or SIGHUP end it: it takes no more runs and waits for those that it\n"
    "executes. A second one ends it at once; these runs are interrupted then, and `capsule resume` goes\n"
    "on with them.\n"
    "\n"
    "Exit codes: 0 it was ended; with --once 2 when a run couldn't be gone on with.\n";

/* Signals that end the worker: blocked, and asked for while it sleeps. One that was ignored when it started stays ignored. */
static void block_signals(sigset_t *ret) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(ret);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction old;
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaddset(ret, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, ret, NULL);
}

static bool sleep_or_signal(const sigset_t *signals, uint64_t ns) {
    const struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    return sigtimedwait(signals, NULL, &time) > 0;
}

static unsigned cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static int add_due(struct run_pool *pool, capsule_journal *journal) {
    const capsule_run_filter filter = {.due = 1};
    CLEANUP(json_cleanup) struct json_document *list = NULL;
    const int rc = recorded_list(journal, &filter, &list);
    size_t cursor = 0;
    for (const json_value *row; (row = json_each(json_root(list), &cursor)) != NULL;)
        run_pool_add(pool, json_text(json_get(row, "run_id"), ""), json_text(json_get(row, "entry"), "?"));
    return rc;
}

/* Waits for the runs that are executed; a signal more ends the process with them. */
static void drain(struct run_pool *pool, const sigset_t *signals) {
    run_pool_stop(pool);
    size_t pending = run_pool_pending(pool);
    if (pending > 0)
        run_pool_say(pool, "stopping: waits for %zu run%s; a second signal ends at once", pending,
                     pending == 1 ? "" : "s");
    while ((pending = run_pool_pending(pool)) > 0) {
        if (!sleep_or_signal(signals, PENDING_EVERY))
            continue;
        run_pool_say(pool, "ended at once; interrupted: %zu run%s (capsule ps --state interrupted)", pending,
                     pending == 1 ? "" : "s");
        _exit(EXIT_INTERRUPTED);
    }
}

static void serve(struct run_pool *pool, capsule_journal *journal, const sigset_t *signals) {
    run_pool_say(pool, "looking after the runs of %s", capsule_journal_dir(journal));
    do
        (void)add_due(pool, journal); /* the user has been told; it may be there again the next time */
    while (!sleep_or_signal(signals, LOOK_EVERY));
    drain(pool, signals);
}

static int serve_once(struct run_pool *pool, capsule_journal *journal, const sigset_t *signals) {
    const int rc = add_due(pool, journal);
    if (rc != COMMAND_GO_ON)
        return rc;
    while (run_pool_pending(pool) > 0) {
        if (!sleep_or_signal(signals, PENDING_EVERY))
            continue;
        drain(pool, signals);
        return EXIT_INTERRUPTED;
    }
    return run_pool_failures(pool) > 0 ? EXIT_USAGE : EXIT_OK;
}

static void show_progress(void *user, const char *what) {
    (void)user;
    output_printf(STDERR_FILENO, "%s\n", what);
}

static int work(const char *project, unsigned jobs, bool once) {
    sigset_t signals;
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    int code = recorded_open(project, &journal);
    if (code != COMMAND_GO_ON)
        return code;
    block_signals(&signals); /* before there are threads, which take it over */
    capsule_error error = {0};
    capsule_runtime *runtime = NULL;
    const capsule_runtime_options runtime_options = {.on_progress = show_progress};
    if (capsule_open(&runtime_options, &runtime, &error) != CAPSULE_OK) {
        output_error(error.message, error.hint);
        return EXIT_USAGE;
    }
    struct run_pool *pool = run_pool_new(runtime, capsule_journal_dir(journal), jobs > 0 ? jobs : cores());
    code = EXIT_OK;
    if (pool == NULL) {
        output_error("no memory for threads", NULL);
        code = EXIT_USAGE;
    } else if (once) {
        code = serve_once(pool, journal, &signals);
    } else {
        serve(pool, journal, &signals);
    }
    run_pool_free(pool);
    capsule_close(runtime);
    return code;
}

static int worker_main(const struct command *self, int argc, char **argv) {
    const char *values[WORKER_OPTIONS] = {0};
    struct operands none = {0};
    struct error err;
    unsigned jobs = 0;
    const int rc = command_read(self, argc, argv, values, &none);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (values[WORKER_TIMERS] == NULL) {
        output_error("worker needs --timers", "a worker that takes tasks from other programs isn't there yet");
        return EXIT_USAGE;
    }
    if (values[WORKER_JOBS] != NULL && option_jobs(values[WORKER_JOBS], &jobs, &err) != 0)
        return command_refuse(&err);
    return work(values[WORKER_PROJECT], jobs, values[WORKER_ONCE] != NULL);
}

const struct command command_worker = {
    .name = "worker",
    .operands = "",
    .summary = "bring back suspended runs when their time or signal has come",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = worker_main,
};
