/* `capsule ps`: the recorded runs. */
#include "base/show.h"
#include "base/suggest.h"
#include "command.h"
#include "moment.h"
#include "recorded.h"
#include "table.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PS_ALL, PS_ENTRY, PS_JSON, PS_LIMIT, PS_PROJECT, PS_STATE, PS_OPTIONS };
enum { LIMIT_DEFAULT = 20, PROGRAM_WIDTH = 32, TASK_WIDTH = 20, WAITS_WIDTH = 48 };

static const struct option options[] = {
    [PS_ALL] = {"all", NULL, "list all runs, not only the newest 20", 0},
    [PS_ENTRY] = {"entry", "FILE", "only runs of this program, as it was given to run", 0},
    [PS_JSON] = {"json", NULL, "print a JSON array", 0},
    [PS_LIMIT] = {"limit", "N", "list the newest N", 0},
    [PS_PROJECT] = RECORDED_PROJECT_OPTION,
    [PS_STATE] = {"state", "STATE",
                  "only runs in this state: running, suspended, interrupted,\n"
                  "completed, failed, timed_out, cancelled",
                  0},
};

static const char details[] =
    "Lists the runs that are on record in the project, newest first. A run is suspended while it waits\n"
    "for a signal or a time without a process, and interrupted when its process died; `capsule resume`\n"
    "goes on with either. TIME is from its beginning to its end, or until now.\n";

static int check_state(const char *state, struct error *err) {
    static const char *const known[] = {"running", "suspended", "interrupted", "completed",
                                        "failed",  "timed_out", "cancelled"};
    const size_t n = sizeof known / sizeof known[0];
    for (size_t i = 0; i < n; i++)
        if (strcmp(state, known[i]) == 0)
            return 0;
    error_set(err, ERROR_INVALID, "option --state: there's no state '%s'", show(state).text);
    const char *nearest = suggest_nearest(state, known, n);
    if (nearest != NULL)
        error_hint(err, "did you mean %s?", nearest);
    else
        error_hint(err, "states: running, suspended, interrupted, completed, failed, timed_out, cancelled");
    return ERROR_INVALID;
}

static int read_filter(const char *const *values, capsule_run_filter *ret, struct error *err) {
    ret->entry = values[PS_ENTRY];
    ret->state = values[PS_STATE];
    ret->limit = values[PS_ALL] != NULL ? 0 : LIMIT_DEFAULT;
    if (ret->state != NULL && check_state(ret->state, err) != 0)
        return ERROR_INVALID;
    const char *limit = values[PS_LIMIT];
    if (limit == NULL)
        return 0;
    if (values[PS_ALL] != NULL)
        return error_set(err, ERROR_INVALID, "--all and --limit exclude each other");
    char *end = NULL;
    ret->limit = limit[0] >= '0' && limit[0] <= '9' ? strtoul(limit, &end, 10) : 0;
    if (ret->limit == 0 || ret->limit > UINT32_MAX || *end != '\0')
        return error_set(err, ERROR_INVALID, "option --limit must be a number from 1 on");
    return 0;
}

static void add_row(struct table *t, const json_value *row, uint64_t now) {
    char age[MOMENT_MAX], span[MOMENT_MAX];
    const uint64_t begun = moment_parse(json_text(json_get(row, "begun"), NULL));
    const uint64_t ended = moment_parse(json_text(json_get(row, "ended"), NULL));
    const uint64_t last = ended != 0 ? ended : now;
    const char *state = json_text(json_get(row, "state"), "?");
    table_add(t, json_text(json_get(row, "run_id"), "?"), STYLE_PLAIN, 0);
    table_add(t, state, recorded_style(state), 0);
    table_add(t, json_text(json_get(row, "entry"), "?"), STYLE_PLAIN, PROGRAM_WIDTH);
    table_add(t, json_text(json_get(row, "task"), "?"), STYLE_PLAIN, TASK_WIDTH);
    table_add(t, moment_format_age(age, sizeof age, now > begun ? now - begun : 0), STYLE_PLAIN, 0);
    table_add(t, moment_format_span(span, sizeof span, last > begun ? last - begun : 0), STYLE_PLAIN, 0);
    table_add(t, json_text(json_get(row, "waits_for"), ""), STYLE_PLAIN, WAITS_WIDTH);
}

static int print_table(const json_value *list, uint64_t limit) {
    static const char *const titles[] = {"RUN", "STATE", "PROGRAM", "TASK", "AGE", "TIME", "WAITS FOR"};
    CLEANUP(table_done) struct table t = {.columns = sizeof titles / sizeof titles[0], .titles = titles};
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_TEXT_MAX);
    const uint64_t now = moment_now();
    size_t cursor = 0, n = 0;
    for (const json_value *row; (row = json_each(list, &cursor)) != NULL && (limit == 0 || n < limit); n++)
        add_row(&t, row, now);
    if (n == 0) {
        output_printf(STDERR_FILENO, "no runs\n");
        return EXIT_OK;
    }
    if (table_write(&t, &b) != 0) {
        output_error("out of memory", NULL);
        return EXIT_USAGE;
    }
    output_write(STDOUT_FILENO, buffer_text(&b), b.size);
    if (limit != 0 && json_size(list) > limit)
        output_printf(STDERR_FILENO, "%sthere are more; --all lists them%s\n", style(STDERR_FILENO, STYLE_DIM),
                      style(STDERR_FILENO, STYLE_PLAIN));
    return EXIT_OK;
}

static int ps_main(const struct command *self, int argc, char **argv) {
    const char *values[PS_OPTIONS] = {0};
    struct operands none = {0};
    struct error err;
    capsule_run_filter filter = {0};
    int rc = command_read(self, argc, argv, values, &none);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (read_filter(values, &filter, &err) != 0)
        return command_refuse(&err);
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    if ((rc = recorded_open(values[PS_PROJECT], &journal)) != COMMAND_GO_ON)
        return rc;
    CLEANUP(json_cleanup) struct json_document *list = NULL;
    const uint64_t limit = filter.limit;
    /* One more tells whether there are more. */
    if (limit != 0 && values[PS_JSON] == NULL)
        filter.limit++;
    if ((rc = recorded_list(journal, &filter, &list)) != COMMAND_GO_ON)
        return rc;
    return values[PS_JSON] != NULL ? recorded_print_json(json_root(list)) : print_table(json_root(list), limit);
}

const struct command command_ps = {
    .name = "ps",
    .operands = "",
    .summary = "list the recorded runs",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = ps_main,
};
