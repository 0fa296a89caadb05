/* `capsule cancel`: ends a run, whoever executes it. */
#include "base/clock.h"
#include "command.h"
#include "execute.h"
#include "recorded.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CANCEL_PROJECT, CANCEL_OPTIONS };

#define PATIENCE (10 * NS_PER_S) /* with the process that executes the run */
#define LOOK_EVERY (20 * NS_PER_MS)

static const struct option options[] = {
    [CANCEL_PROJECT] = RECORDED_PROJECT_OPTION,
};

static const char details[] =
    "RUN is a run's id, or a beginning of it of 4 characters or more that no other has.\n"
    "\n"
    "The process that executes the run is asked to end its tasks, children first; a run that nobody\n"
    "executes is ended here. Either way its state is cancelled afterwards, and it can't be resumed.\n"
    "\n"
    "Exit codes: 0 it's cancelled, 2 it had ended otherwise, or couldn't be cancelled.\n";

static int tell(const char *run_id) {
    output_printf(STDERR_FILENO, "cancelled: %s\n", run_id);
    return EXIT_OK;
}

static int refuse(const char *run_id, const char *what, const char *hint) {
    CLEANUP(buffer_done) struct buffer message = BUFFER_INIT(OUTPUT_LINE_MAX);
    buffer_printf(&message, "the run %s %s", run_id, what);
    output_error(buffer_text(&message), hint);
    return EXIT_USAGE;
}

/* What it has come to, once that is on record. */
static int tell_outcome(capsule_journal *journal, const char *run_id) {
    CLEANUP(recorded_done) struct recorded_run run = {0};
    const int rc = recorded_find(journal, run_id, &run);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (strcmp(run.state, "cancelled") == 0)
        return tell(run_id);
    CLEANUP(buffer_done) struct buffer what = BUFFER_INIT(OUTPUT_LINE_MAX);
    buffer_printf(&what, "has ended already: %s", run.state);
    return refuse(run_id, buffer_text(&what), NULL);
}

static int wait_for_its_end(capsule_journal *journal, const char *run_id) {
    const uint64_t until = clock_monotonic_ns() + PATIENCE;
    while (!recorded_is_over(capsule_journal_dir(journal), run_id)) {
        if (clock_monotonic_ns() > until)
            return refuse(run_id, "was asked to end and hasn't yet",
                          "its process may be stopped; `capsule ps` shows it");
        nanosleep(&(struct timespec){.tv_nsec = (long)LOOK_EVERY}, NULL);
    }
    return tell_outcome(journal, run_id);
}

static int end_here(capsule_journal *journal, const char *run_id) {
    const struct execution e = {
        .cancel = true, .taken_is_fine = true, .journal_dir = capsule_journal_dir(journal), .run_id = run_id};
    int state = 0;
    const int code = execute(&e, &state);
    if (state == CAPSULE_E_CANCELLED) /* somebody took it a moment ago, and will see what is wanted */
        return wait_for_its_end(journal, run_id);
    return code == EXIT_OK ? tell_outcome(journal, run_id) : code;
}

static int cancel_main(const struct command *self, int argc, char **argv) {
    const char *values[CANCEL_OPTIONS] = {0};
    struct operands operands = {.min = 1, .max = 1};
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    CLEANUP(recorded_done) struct recorded_run run = {0};
    int rc = command_read(self, argc, argv, values, &operands);
    if (rc == COMMAND_GO_ON)
        rc = recorded_open_find(values[CANCEL_PROJECT], operands.words[0], &journal, &run);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (recorded_has_ended(&run))
        return tell_outcome(journal, run.id);
    capsule_error error = {0};
    int alive = 0;
    if (capsule_journal_cancel(journal, run.id, &alive, &error) != CAPSULE_OK) {
        output_error(error.message, error.hint);
        return EXIT_USAGE;
    }
    return alive ? wait_for_its_end(journal, run.id) : end_here(journal, run.id);
}

const struct command command_cancel = {
    .name = "cancel",
    .operands = "RUN",
    .summary = "end a run",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = cancel_main,
};
