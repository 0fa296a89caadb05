/* `capsule show`: the story of one run. */
#include "command.h"
#include "moment.h"
#include "recorded.h"
#include "show_tasks.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { SHOW_ALL, SHOW_JSON, SHOW_PROJECT, SHOW_OPTIONS };
enum { STATES_MAX = 8, SIGNALS_SHOWN = 8 };

static const struct option options[] = {
    [SHOW_ALL] = {"all", NULL, "don't leave out the middle of long lists", 0},
    [SHOW_JSON] = {"json", NULL, "print a JSON object", 0},
    [SHOW_PROJECT] = RECORDED_PROJECT_OPTION,
};

static const char details[] =
    "RUN is a run's id, or a beginning of it of 4 characters or more that no other has.\n"
    "\n"
    "Prints what is on record of a run: its state and what it waits for, then its tasks, each below the\n"
    "one that called it, with their state, time, fuel and memory, failed attempts, requests and waits.\n"
    "The numbers of tasks are those that `capsule fork --from` takes.\n";

static void put_title(struct buffer *b, const char *title) {
    buffer_printf(b, "%s%-9s%s ", style(STDOUT_FILENO, STYLE_DIM), title, style(STDOUT_FILENO, STYLE_PLAIN));
}

static void put_state(struct buffer *b, const json_value *run) {
    const char *state = json_text(json_get(run, "state"), "?");
    const char *waits_for = json_text(json_get(run, "waits_for"), NULL);
    uint64_t pid;
    put_title(b, "state");
    buffer_printf(b, "%s%s%s", style(STDOUT_FILENO, recorded_style(state)), state,
                  style(STDOUT_FILENO, STYLE_PLAIN));
    if (waits_for != NULL) {
        buffer_puts(b, ": waits for ");
        show_short(waits_for, b);
    }
    if (json_u64(json_get(run, "pid"), &pid))
        buffer_printf(b, " by process %" PRIu64, pid);
    if (strcmp(state, "interrupted") == 0 && json_type(json_get(run, "ended")) != JSON_STRING)
        buffer_puts(b, ": its process died");
    buffer_putc(b, '\n');
}

static void put_times(struct buffer *b, const json_value *run, uint64_t now) {
    char text[MOMENT_MAX], age[MOMENT_MAX];
    const uint64_t begun = moment_parse(json_text(json_get(run, "begun"), NULL));
    const uint64_t ended = moment_parse(json_text(json_get(run, "ended"), NULL));
    const uint64_t last = ended != 0 ? ended : now, ago = now > begun ? now - begun : 0;
    put_title(b, "begun");
    buffer_printf(b, "%s (%s%s)\n", moment_format(text, sizeof text, begun),
                  moment_format_age(age, sizeof age, ago), ago >= 1000000000 ? " ago" : "");
    put_title(b, ended != 0 ? "took" : "so far");
    buffer_printf(b, "%s\n", moment_format_span(text, sizeof text, last > begun ? last - begun : 0));
}

static void put_count(struct buffer *b, const char *title, uint64_t n) {
    if (n == 0)
        return;
    put_title(b, title);
    buffer_printf(b, n == 1 ? "once\n" : "%" PRIu64 " times\n", n);
}

static void put_signals(struct buffer *b, const json_value *signals) {
    size_t cursor = 0, n = 0;
    if (json_size(signals) == 0)
        return;
    put_title(b, "signals");
    for (const json_value *signal; (signal = json_each(signals, &cursor)) != NULL && n < SIGNALS_SHOWN; n++) {
        uint64_t task;
        buffer_puts(b, n > 0 ? ", " : "");
        show_short(json_text(json_get(signal, "name"), "?"), b);
        if (json_u64(json_get(signal, "taken_by"), &task))
            buffer_printf(b, " (to #%" PRIu64 ")", task);
        else
            buffer_puts(b, " (not taken)");
    }
    if (json_size(signals) > SIGNALS_SHOWN)
        buffer_printf(b, " and %zu more", json_size(signals) - SIGNALS_SHOWN);
    buffer_putc(b, '\n');
}

/* "12: 10 completed, 1 failed, 1 suspended" */
static void put_counts(struct buffer *b, const json_value *tasks) {
    struct {
        const char *state;
        size_t n;
    } counts[STATES_MAX] = {0};
    size_t cursor = 0, states = 0;
    for (const json_value *task; (task = json_each(tasks, &cursor)) != NULL;) {
        const char *state = json_text(json_get(task, "state"), "?");
        size_t i = 0;
        while (i < states && strcmp(counts[i].state, state) != 0)
            i++;
        if (i == STATES_MAX)
            continue;
        states += i == states;
        counts[i].state = state;
        counts[i].n++;
    }
    put_title(b, "tasks");
    buffer_printf(b, "%zu", json_size(tasks));
    for (size_t i = 0; i < states; i++)
        buffer_printf(b, "%s %zu %s", i > 0 ? "," : ":", counts[i].n, counts[i].state);
    buffer_putc(b, '\n');
}

static int put_outcome(struct buffer *b, const json_value *run) {
    const json_value *result = json_get(run, "result"), *error = json_get(run, "error");
    if (json_type(error) == JSON_OBJECT) {
        put_title(b, "error");
        show_error(error, b);
        return buffer_putc(b, '\n');
    }
    if (result == NULL)
        return 0;
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(OUTPUT_TEXT_MAX);
    const int rc = json_write(result, &text);
    put_title(b, "result");
    show_short(buffer_text(&text), b);
    buffer_putc(b, '\n');
    return rc;
}

static int print_run(const json_value *run, bool all) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_TEXT_MAX);
    const uint64_t now = moment_now();
    const char *origin = json_text(json_get(run, "forked_from"), NULL);
    put_title(&b, "run");
    buffer_printf(&b, "%s%s\n", json_text(json_get(run, "run_id"), "?"),
                  json_bool(json_get(run, "durable"), false) ? " (durable)" : "");
    put_title(&b, "program");
    show_short(json_text(json_get(run, "entry"), "?"), &b);
    buffer_puts(&b, ", task ");
    show_short(json_text(json_get(run, "task"), "?"), &b);
    buffer_putc(&b, '\n');
    if (origin != NULL) {
        put_title(&b, "forked");
        buffer_puts(&b, "from ");
        show_short(origin, &b);
        buffer_putc(&b, '\n');
    }
    put_state(&b, run);
    put_times(&b, run, now);
    put_count(&b, "suspended", show_number(run, "suspended"));
    put_count(&b, "resumed", show_number(run, "resumed"));
    put_signals(&b, json_get(run, "signals"));
    put_counts(&b, json_get(run, "tasks"));
    put_outcome(&b, run);
    buffer_putc(&b, '\n');
    if (show_tasks(json_get(run, "tasks"), now, all, &b) != 0) {
        output_error("out of memory", NULL);
        return EXIT_USAGE;
    }
    output_write(STDOUT_FILENO, buffer_text(&b), b.size);
    return EXIT_OK;
}

static int read_run(capsule_journal *journal, const char *id, struct json_document **ret) {
    capsule_error error = {0};
    struct error err;
    char *text = NULL;
    if (capsule_journal_show(journal, id, &text, &error) != CAPSULE_OK) {
        output_error(error.message, error.hint);
        return EXIT_USAGE;
    }
    const int rc = json_parse(text, strlen(text), ret, &err);
    capsule_free(text);
    return rc == 0 ? COMMAND_GO_ON : command_refuse(&err);
}

static int show_main(const struct command *self, int argc, char **argv) {
    const char *values[SHOW_OPTIONS] = {0};
    struct operands operands = {.min = 1, .max = 1};
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    CLEANUP(recorded_done) struct recorded_run run = {0};
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    int rc = command_read(self, argc, argv, values, &operands);
    if (rc == COMMAND_GO_ON)
        rc = recorded_open_find(values[SHOW_PROJECT], operands.words[0], &journal, &run);
    if (rc == COMMAND_GO_ON)
        rc = read_run(journal, run.id, &document);
    if (rc != COMMAND_GO_ON)
        return rc;
    return values[SHOW_JSON] != NULL ? recorded_print_json(json_root(document))
                                     : print_run(json_root(document), values[SHOW_ALL] != NULL);
}

const struct command command_show = {
    .name = "show",
    .operands = "RUN",
    .summary = "show what is on record of a run: its tasks, what it waits for",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = show_main,
};
