/* See execute.h. */
#include "execute.h"
#include "base/json.h"
#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "recorded.h"
#include "run_report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void show_progress(void *user, const char *what) {
    const struct report *report = user;
    if (report->verbose || output_is_terminal(STDERR_FILENO))
        output_printf(STDERR_FILENO, "%s%s%s\n", style(STDERR_FILENO, STYLE_DIM), what,
                      style(STDERR_FILENO, STYLE_PLAIN));
}

/* What the program prints while it's imported: only when its image is built, so it's no part of the run's output. */
static void show_import_output(void *user, int stream, const char *bytes, size_t bytes_n) {
    (void)user;
    (void)stream;
    output_write(STDERR_FILENO, bytes, bytes_n);
}

static void close_runtime(capsule_runtime **runtime) {
    if (*runtime != NULL)
        capsule_close(*runtime);
}

static void close_app(capsule_app **app) {
    if (*app != NULL)
        capsule_app_close(*app);
}

static void free_run(capsule_run **run) {
    interrupt_set_run(NULL, NULL);
    if (*run != NULL)
        capsule_run_free(*run);
}

static int open_app(const struct execution *e, capsule_runtime *runtime, capsule_app **ret, capsule_error *error) {
    if (e->run_id != NULL) {
        const capsule_app_options options = {.on_output = show_import_output};
        return capsule_app_reopen(runtime, e->journal_dir, e->run_id, &options, ret, error);
    }
    capsule_app_options options = *e->app;
    options.on_output = show_import_output;
    return capsule_app_open(runtime, e->file, &options, ret, error);
}

static int begin_run(const struct execution *e, capsule_app *app, struct report *report, capsule_run **ret,
                     capsule_error *error) {
    capsule_run_options options = {0};
    if (e->run_id == NULL)
        options = *e->run;
    options.timeout = e->timeout;
    options.wait = e->wait;
    options.suspend_after = e->suspend_after;
    options.on_event = report_event;
    options.user = report;
    return e->run_id != NULL ? capsule_run_resume(app, e->run_id, &options, ret, error)
                             : capsule_run_new(app, &options, ret, error);
}

/* Where a new run is recorded; NULL if it isn't, or when out of memory. */
static char *journal_of(const struct execution *e, const capsule_app *app) {
    if (e->journal_dir != NULL)
        return strdup(e->journal_dir);
    struct json_document *description = NULL;
    const char *text = capsule_app_describe(app);
    char *dir = NULL;
    if (!e->app->journal || json_parse(text, strlen(text), &description, NULL) != 0)
        return NULL;
    const char *root = json_text(json_get(json_root(description), "root"), NULL);
    if (root != NULL && asprintf(&dir, "%s/.capsule", strcmp(root, "/") == 0 ? "" : root) < 0)
        dir = NULL;
    json_free(description);
    return dir;
}

/* A program that can't be recorded may be run without. */
static void name_the_way_around(const struct execution *e, capsule_error *error) {
    static const char *const beginnings[] = {"the journal", "there is no journal", "can't make the journal",
                                             "can't open the journal"};
    bool of_the_journal = false;
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
        of_the_journal |= strncmp(error->message, beginnings[i], strlen(beginnings[i])) == 0;
    if (e->run_id != NULL || !e->app->journal || !of_the_journal || strstr(error->hint, "--no-journal") != NULL)
        return;
    const size_t n = strlen(error->hint);
    snprintf(error->hint + n, sizeof error->hint - n, "%s--no-journal runs the program without recording it",
             n > 0 ? "; " : "");
}

/* The run is on record as begun and not as ended: Capsule couldn't go on with it, or it was stopped. */
static bool can_be_resumed(const struct report *report) {
    return report->journal_dir != NULL && !recorded_is_over(report->journal_dir, capsule_run_id(report->run));
}

static void tell_how_to_resume(const struct report *report) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    buffer_printf(&b, "%shint:%s what is on record isn't lost: capsule resume ",
                  style(STDERR_FILENO, STYLE_YELLOW), style(STDERR_FILENO, STYLE_PLAIN));
    recorded_put_name(&b, report->journal_dir, capsule_run_id(report->run));
    buffer_putc(&b, '\n');
    output_write(STDERR_FILENO, buffer_text(&b), b.size);
}

/* A run that failed can't be resumed. To a person: what can be done with one of several tasks. */
static void tell_what_remains(const struct report *report, capsule_state state) {
    uint64_t tasks = 0;
    for (capsule_state s = CAPSULE_COMPLETED; s <= CAPSULE_INTERRUPTED; s++)
        tasks += report->ended[s];
    if (report->journal_dir == NULL || report->json || tasks < 2 || !output_is_terminal(STDERR_FILENO) ||
        (state != CAPSULE_FAILED && state != CAPSULE_TIMED_OUT))
        return;
    CLEANUP(buffer_done) struct buffer name = BUFFER_INIT(OUTPUT_LINE_MAX);
    recorded_put_name(&name, report->journal_dir, capsule_run_id(report->run));
    output_printf(STDERR_FILENO,
                  "%sits tasks: capsule show %s\nonce more from one of them: capsule fork %s --from STEP%s\n",
                  style(STDERR_FILENO, STYLE_DIM), buffer_text(&name), buffer_text(&name),
                  style(STDERR_FILENO, STYLE_PLAIN));
}

/* For the signal handler, which can't put texts together. */
static void prepare_interruption(const struct report *report) {
    CLEANUP(buffer_done) struct buffer name = BUFFER_INIT(OUTPUT_LINE_MAX);
    if (report->journal_dir != NULL)
        recorded_put_name(&name, report->journal_dir, capsule_run_id(report->run));
    interrupt_set_run(report->run, report->journal_dir != NULL ? buffer_text(&name) : NULL);
}

static int wait_for(const struct execution *e, struct report *report, int *ret_state) {
    capsule_error error = {0};
    prepare_interruption(report);
    if (e->cancel)
        capsule_run_cancel(report->run);
    *ret_state = capsule_run_wait(report->run, &error);
    if (*ret_state >= 0 && e->cancel)
        return EXIT_OK;
    const bool stopped = *ret_state < 0 || interrupt_happened();
    const bool resumable = stopped && can_be_resumed(report);
    if (*ret_state < 0 && !resumable)
        name_the_way_around(e, &error);
    const int code = *ret_state < 0 ? report_failure(report, &error)
                                    : report_outcome(report, report->run, (capsule_state)*ret_state);
    if (resumable && code != EXIT_OK)
        tell_how_to_resume(report);
    else if (!stopped)
        tell_what_remains(report, (capsule_state)*ret_state);
    return code;
}

int execute(const struct execution *e, int *ret_state) {
    int state = CAPSULE_E_INTERNAL;
    int *to = ret_state != NULL ? ret_state : &state;
    if (e->json)
        output_no_color();
    interrupt_install();
    struct report report = {.json = e->json, .verbose = e->verbose, .file = e->file};
    capsule_error error = {0};
    CLEANUP(close_runtime) capsule_runtime *runtime = NULL;
    const capsule_runtime_options runtime_options = {
        .jobs = e->jobs, .on_progress = show_progress, .user = &report};
    *to = capsule_open(&runtime_options, &runtime, &error);
    CLEANUP(close_app) capsule_app *app = NULL;
    if (*to == CAPSULE_OK)
        *to = open_app(e, runtime, &app, &error);
    CLEANUP(cleanup_free) char *journal_dir = app != NULL ? journal_of(e, app) : NULL;
    CLEANUP(free_run) capsule_run *run = NULL;
    report.journal_dir = journal_dir;
    if (*to == CAPSULE_OK)
        *to = begin_run(e, app, &report, &run, &error);
    if (*to == CAPSULE_E_CANCELLED && e->taken_is_fine) {
        if (!e->cancel)
            output_printf(STDERR_FILENO, "%s\n", error.message);
        return EXIT_OK;
    }
    if (*to != CAPSULE_OK) {
        name_the_way_around(e, &error);
        return report_failure(&report, &error);
    }
    report.run = run;
    return wait_for(e, &report, to);
}
