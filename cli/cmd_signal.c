/* `capsule signal`: tells a run something that it waits for. */
#include "base/file.h"
#include "base/json.h"
#include "base/show.h"
#include "command.h"
#include "execute.h"
#include "recorded.h"
#include <string.h>
#include <unistd.h>

enum { SIGNAL_JSON, SIGNAL_NO_RESUME, SIGNAL_PROJECT, SIGNAL_VERBOSE, SIGNAL_WAIT, SIGNAL_OPTIONS };
enum { VALUE_MAX = 64 << 20 /* bytes; what a guest takes at most */ };

static const struct option options[] = {
    [SIGNAL_JSON] = {"json", NULL, "print the result envelope, and nothing else, on standard output", 0},
    [SIGNAL_NO_RESUME] = {"no-resume", NULL, "leave the signal, and the run as it is", 0},
    [SIGNAL_PROJECT] = RECORDED_PROJECT_OPTION,
    [SIGNAL_VERBOSE] = {"verbose", NULL, "print a line for each step in the life of each task", 'v'},
    [SIGNAL_WAIT] = {"wait", NULL, "wait here for what the run waits for next, instead of suspending it", 0},
};

static const char details[] =
    "RUN is a run's id, or a beginning of it of 4 characters or more that no other has. NAME is what the\n"
    "program gave to wait_signal, JSON the value that it gets: null if there's none; - reads it from\n"
    "standard input. A shell needs quotes around it:\n"
    "\n"
    "    capsule signal 0193f2e1 approval '{\"ok\": true}'\n"
    "\n"
    "A process that executes the run hands the signal to it. If there's none, the run is resumed here,\n"
    "with the output and the exit codes of `capsule run`. A signal that nobody waits for yet is kept.\n";

static int read_value(const char *word, struct buffer *ret, struct error *err) {
    int rc;
    if (word == NULL)
        rc = buffer_puts(ret, "null");
    else if (strcmp(word, "-") == 0)
        rc = file_read(STDIN_FILENO, ret);
    else
        rc = buffer_puts(ret, word);
    if (rc != 0)
        return error_set(err, rc, "the signal's value can't be read, or is longer than %d MiB", VALUE_MAX >> 20);
    struct error why;
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if (json_parse(buffer_text(ret), ret->size, &document, &why) == 0)
        return 0;
    error_set(err, ERROR_INVALID, "the signal's value isn't JSON: %s", why.message);
    if (word != NULL && strcmp(word, "-") != 0 && strpbrk(word, "'\"{}[]\\") == NULL)
        error_hint(err, "a text needs quotes, and a shell needs quotes around them: '\"%s\"'", show(word).text);
    else
        error_hint(err, "a shell takes quotes away; put others around it: '{\"ok\": true}'");
    return ERROR_INVALID;
}

static int leave(capsule_journal *journal, const struct recorded_run *run, const char *name, const char *json) {
    capsule_error error = {0};
    if (recorded_has_ended(run)) {
        CLEANUP(buffer_done) struct buffer message = BUFFER_INIT(OUTPUT_LINE_MAX);
        buffer_printf(&message, "the run %s has ended (%s): nothing waits for a signal", run->id, run->state);
        output_error(buffer_text(&message), NULL);
        return EXIT_USAGE;
    }
    if (capsule_journal_signal(journal, run->id, name, json, &error) == CAPSULE_OK)
        return COMMAND_GO_ON;
    output_error(error.message, error.hint);
    return EXIT_USAGE;
}

static int tell_left(const struct recorded_run *run) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    uint64_t pid = 0;
    if (recorded_is_running(run->state) && json_u64(json_get(run->row, "pid"), &pid))
        buffer_printf(&b, "left for the run %s, which process %llu executes\n", run->id, (unsigned long long)pid);
    else
        buffer_printf(&b, "left for the run %s, which %s %s\n", run->id,
                      recorded_has_ended(run) ? "has meanwhile" : "is", run->state);
    output_write(STDERR_FILENO, buffer_text(&b), b.size);
    return EXIT_OK;
}

static int signal_main(const struct command *self, int argc, char **argv) {
    const char *values[SIGNAL_OPTIONS] = {0};
    struct operands operands = {.min = 2, .max = 3};
    struct error err;
    CLEANUP(buffer_done) struct buffer json = BUFFER_INIT(VALUE_MAX);
    int rc = command_read(self, argc, argv, values, &operands);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (read_value(operands.words[2], &json, &err) != 0)
        return command_refuse(&err);
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    CLEANUP(recorded_done) struct recorded_run run = {0};
    rc = recorded_open_find(values[SIGNAL_PROJECT], operands.words[0], &journal, &run);
    if (rc == COMMAND_GO_ON)
        rc = leave(journal, &run, operands.words[1], buffer_text(&json));
    /* What executes the run looks for signals once more after it has suspended it; so only what is true now counts. */
    CLEANUP(recorded_done) struct recorded_run now = {0};
    if (rc == COMMAND_GO_ON)
        rc = recorded_find(journal, run.id, &now);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (recorded_is_running(now.state) || recorded_has_ended(&now) || values[SIGNAL_NO_RESUME] != NULL)
        return tell_left(&now);
    const struct execution e = {.json = values[SIGNAL_JSON] != NULL,
                                .verbose = values[SIGNAL_VERBOSE] != NULL,
                                .wait = values[SIGNAL_WAIT] != NULL,
                                .taken_is_fine = true,
                                .journal_dir = capsule_journal_dir(journal),
                                .run_id = run.id};
    return execute(&e, NULL);
}

const struct command command_signal = {
    .name = "signal",
    .operands = "RUN NAME [JSON]",
    .summary = "tell a run what it waits for, and go on with it",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = signal_main,
};
