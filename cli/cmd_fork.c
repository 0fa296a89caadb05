/* `capsule fork`: a new run that shares the beginning of another. */
#include "base/show.h"
#include "command.h"
#include "execute.h"
#include "recorded.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { FORK_FROM, FORK_JSON, FORK_NO_RESUME, FORK_PROJECT, FORK_VERBOSE, FORK_WAIT, FORK_OPTIONS };

static const struct option options[] = {
    [FORK_FROM] = {"from", "STEP", "the task to begin with, by its number in `capsule show`: 12 or '#12'", 0},
    [FORK_JSON] = {"json", NULL, "print the result envelope, and nothing else, on standard output", 0},
    [FORK_NO_RESUME] = {"no-resume", NULL, "make the run, and don't execute it yet", 0},
    [FORK_PROJECT] = RECORDED_PROJECT_OPTION,
    [FORK_VERBOSE] = {"verbose", NULL, "print a line for each step in the life of each task", 'v'},
    [FORK_WAIT] = {"wait", NULL,
                   "wait here for signals and times that tasks wait for, instead of\n"
                   "being suspended",
                   0},
};

static const char details[] =
    "RUN is a run's id, or a beginning of it of 4 characters or more that no other has.\n"
    "\n"
    "Makes a new run of what is on record of RUN before the task STEP was called, and executes it from\n"
    "there: earlier steps aren't done again, STEP and what came after it are. RUN stays as it is. The id\n"
    "of the new run is printed on standard error.\n"
    "\n"
    "    capsule fork 0193f2e1 --from 12\n"
    "\n"
    "Output and exit codes are those of `capsule run`.\n";

static int read_step(const char *text, uint32_t *ret, struct error *err) {
    if (text == NULL) {
        error_set(err, ERROR_INVALID, "fork needs --from STEP");
        error_hint(err, "STEP is the number of a task; `capsule show RUN` prints them");
        return ERROR_INVALID;
    }
    const char *digits = text[0] == '#' ? text + 1 : text;
    char *end = NULL;
    const unsigned long n = digits[0] >= '0' && digits[0] <= '9' ? strtoul(digits, &end, 10) : 0;
    if (n == 0 || n > UINT32_MAX || *end != '\0') {
        error_set(err, ERROR_INVALID, "option --from: '%s' isn't the number of a task", show(text).text);
        error_hint(err, "write it as `capsule show` prints it: 12 or '#12'");
        return ERROR_INVALID;
    }
    *ret = (uint32_t)n;
    return 0;
}

static void free_text(char **text) {
    capsule_free(*text);
}

static int fork_main(const struct command *self, int argc, char **argv) {
    const char *values[FORK_OPTIONS] = {0};
    struct operands operands = {.min = 1, .max = 1};
    struct error err;
    uint32_t step = 0;
    int rc = command_read(self, argc, argv, values, &operands);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (read_step(values[FORK_FROM], &step, &err) != 0)
        return command_refuse(&err);
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    CLEANUP(recorded_done) struct recorded_run run = {0};
    rc = recorded_open_find(values[FORK_PROJECT], operands.words[0], &journal, &run);
    if (rc != COMMAND_GO_ON)
        return rc;
    CLEANUP(free_text) char *forked = NULL;
    capsule_error error = {0};
    if (capsule_journal_fork(journal, run.id, step, &forked, &error) != CAPSULE_OK) {
        output_error(error.message, error.hint);
        return EXIT_USAGE;
    }
    output_printf(STDERR_FILENO, "forked: %s\n", forked);
    if (values[FORK_NO_RESUME] != NULL)
        return EXIT_OK;
    const struct execution e = {.json = values[FORK_JSON] != NULL,
                                .verbose = values[FORK_VERBOSE] != NULL,
                                .wait = values[FORK_WAIT] != NULL,
                                .journal_dir = capsule_journal_dir(journal),
                                .run_id = forked};
    return execute(&e, NULL);
}

const struct command command_fork = {
    .name = "fork",
    .operands = "RUN",
    .summary = "make a new run of the beginning of another, and go on differently",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = fork_main,
};
