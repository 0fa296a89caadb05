/* `capsule logs`: what the tasks of a run wrote. */
#include "base/clock.h"
#include "command.h"
#include "recorded.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOGS_FOLLOW, LOGS_PROJECT, LOGS_OPTIONS };

#define LOOK_EVERY (100 * NS_PER_MS)
#define STATE_EVERY (2 * NS_PER_S) /* how often somebody who follows is told that the run stands still */

static const struct option options[] = {
    [LOGS_FOLLOW] = {"follow", NULL, "go on until the run has ended", 'f'},
    [LOGS_PROJECT] = RECORDED_PROJECT_OPTION,
};

static const char details[] =
    "RUN is a run's id, or a beginning of it of 4 characters or more that no other has.\n"
    "\n"
    "Prints what the run's tasks wrote, byte for byte and in order: to standard output what they wrote\n"
    "there, to standard error what they wrote there.\n";

static void put(void *user, const capsule_event *event) {
    (void)user;
    output_write(event->stream == 1 ? STDOUT_FILENO : STDERR_FILENO, event->bytes, event->bytes_n);
}

/* Says once that nothing will come until somebody does something. */
static void tell_stillness(capsule_journal *journal, const char *run_id, bool *told) {
    CLEANUP(recorded_done) struct recorded_run run = {0};
    if (recorded_find(journal, run_id, &run) != COMMAND_GO_ON)
        return;
    const bool still = !recorded_is_running(run.state) && !recorded_has_ended(&run);
    if (still && !*told)
        output_printf(STDERR_FILENO, "%sthe run is %s; waiting for it to go on%s\n",
                      style(STDERR_FILENO, STYLE_DIM), run.state, style(STDERR_FILENO, STYLE_PLAIN));
    *told = still;
}

static int print_logs(capsule_journal *journal, const char *run_id, bool follow) {
    capsule_error error = {0};
    uint64_t cursor = 0, looked = clock_monotonic_ns();
    bool told = false;
    for (int over = 0; !output_failed();) {
        if (capsule_journal_output(journal, run_id, &cursor, put, NULL, &over, &error) != CAPSULE_OK) {
            output_error(error.message, error.hint);
            return EXIT_USAGE;
        }
        if (over || !follow)
            break;
        nanosleep(&(struct timespec){.tv_nsec = (long)LOOK_EVERY}, NULL);
        if (clock_monotonic_ns() - looked > STATE_EVERY) {
            tell_stillness(journal, run_id, &told);
            looked = clock_monotonic_ns();
        }
    }
    return EXIT_OK;
}

static int logs_main(const struct command *self, int argc, char **argv) {
    const char *values[LOGS_OPTIONS] = {0};
    struct operands operands = {.min = 1, .max = 1};
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    CLEANUP(recorded_done) struct recorded_run run = {0};
    int rc = command_read(self, argc, argv, values, &operands);
    if (rc == COMMAND_GO_ON)
        rc = recorded_open_find(values[LOGS_PROJECT], operands.words[0], &journal, &run);
    return rc == COMMAND_GO_ON ? print_logs(journal, run.id, values[LOGS_FOLLOW] != NULL) : rc;
}

const struct command command_logs = {
    .name = "logs",
    .operands = "RUN",
    .summary = "print what the tasks of a run wrote",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = logs_main,
};
