/* `capsule resume`: goes on with a recorded run. */
#include "command.h"
#include "execute.h"
#include "recorded.h"

enum {
    RESUME_JOBS,
    RESUME_JSON,
    RESUME_PROJECT,
    RESUME_SUSPEND_AFTER,
    RESUME_TIMEOUT,
    RESUME_VERBOSE,
    RESUME_WAIT,
    RESUME_OPTIONS
};

static const struct option options[] = {
    [RESUME_JOBS] = {"jobs", "N", "run tasks on N threads, 1 to 256, instead of one per core", 0},
    [RESUME_JSON] = {"json", NULL, "print the result envelope, and nothing else, on standard output", 0},
    [RESUME_PROJECT] = RECORDED_PROJECT_OPTION,
    [RESUME_SUSPEND_AFTER] = OPTION_SUSPEND_AFTER,
    [RESUME_TIMEOUT] = {"timeout", "DURATION", "end the run if it takes longer from now: 500ms, 30s, 5m, 1h", 0},
    [RESUME_VERBOSE] = {"verbose", NULL, "print a line for each step in the life of each task", 'v'},
    [RESUME_WAIT] = {"wait", NULL,
                     "wait here for signals and times that tasks wait for, instead of\n"
                     "being suspended again",
                     0},
};

static const char details[] =
    "RUN is a run's id, or a beginning of it of 4 characters or more that no other has.\n"
    "\n"
    "A step that was completed isn't done again: its result is on record. The code is the one that the\n"
    "run began with, whatever has become of the files since. A run that has ended isn't run again; what\n"
    "it came to is printed as when it ended.\n"
    "\n"
    "Output and exit codes are those of `capsule run`; 2 when another process executes the run.\n";

static int read_values(const char *const *values, struct execution *ret, struct error *err) {
    ret->json = values[RESUME_JSON] != NULL;
    ret->verbose = values[RESUME_VERBOSE] != NULL;
    ret->wait = values[RESUME_WAIT] != NULL;
    int rc = 0;
    if (values[RESUME_JOBS] != NULL)
        rc = option_jobs(values[RESUME_JOBS], &ret->jobs, err);
    if (rc == 0 && values[RESUME_TIMEOUT] != NULL)
        rc = option_timeout(values[RESUME_TIMEOUT], &ret->timeout, err);
    if (rc == 0 && values[RESUME_SUSPEND_AFTER] != NULL)
        rc = option_suspend_after(values[RESUME_SUSPEND_AFTER], &ret->suspend_after, err);
    if (rc == 0 && ret->wait && ret->suspend_after != 0)
        rc = error_set(err, ERROR_INVALID, "--wait and --suspend-after exclude each other");
    return rc;
}

static int resume_main(const struct command *self, int argc, char **argv) {
    const char *values[RESUME_OPTIONS] = {0};
    struct operands operands = {.min = 1, .max = 1};
    struct execution e = {0};
    struct error err;
    int rc = command_read(self, argc, argv, values, &operands);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (read_values(values, &e, &err) != 0)
        return command_refuse(&err);
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    CLEANUP(recorded_done) struct recorded_run run = {0};
    rc = recorded_open_find(values[RESUME_PROJECT], operands.words[0], &journal, &run);
    if (rc != COMMAND_GO_ON)
        return rc;
    e.journal_dir = capsule_journal_dir(journal);
    e.run_id = run.id;
    return execute(&e, NULL);
}

const struct command command_resume = {
    .name = "resume",
    .operands = "RUN",
    .summary = "go on with a run that was suspended or interrupted",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = resume_main,
};
