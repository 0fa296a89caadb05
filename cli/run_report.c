/* See run_report.h. */
#include "run_report.h"
#include "base/json.h"
#include "base/utf8.h"
#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "recorded.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- while it runs ------------------------------------------------------------------------------------------ */

static bool has_ended(capsule_state state) {
    return state >= CAPSULE_COMPLETED && state <= CAPSULE_INTERRUPTED;
}

static void append_cost(struct buffer *b, const capsule_event *event) {
    char duration[32], ram[32];
    buffer_printf(b, "  %s  fuel %" PRIu64 "  ram %s", format_duration(duration, sizeof duration, event->duration),
                  event->fuel, format_bytes(ram, sizeof ram, event->ram));
}

/* Text that may be long, its beginning only, on one line. */
static void append_beginning(struct buffer *b, const char *text) {
    const size_t n = strlen(text), kept = n > REPORT_MESSAGE_MAX ? utf8_cut(text, n, REPORT_MESSAGE_MAX) : n;
    CLEANUP(cleanup_free) char *beginning = strndup(text, kept);
    if (beginning != NULL)
        output_escape(b, beginning, true);
    if (kept < n)
        buffer_puts(b, " …");
}

static void append_error(struct buffer *b, const capsule_event *event) {
    if (event->error_type == NULL)
        return;
    buffer_printf(b, "  %s: ", event->error_type);
    append_beginning(b, event->error_message != NULL ? event->error_message : "");
}

/* "      1.2 ms  #2 greet  " */
static void append_subject(struct buffer *b, const struct report *report, const capsule_event *event) {
    const int fd = STDERR_FILENO;
    char text[32];
    const uint64_t since = event->time > report->began ? event->time - report->began : 0;
    buffer_printf(b, "%s%12s%s  #%" PRIu32 " ", style(fd, STYLE_DIM), format_duration(text, sizeof text, since),
                  style(fd, STYLE_PLAIN), event->task_id);
    output_escape(b, event->task_name, true);
    buffer_puts(b, "  ");
}

/* "retry  attempt 1 failed, next in 98.7 ms" */
static void append_retry(struct buffer *b, const capsule_event *event) {
    char text[32];
    buffer_printf(b, "%sretry%s  attempt %" PRIu32 " failed, next in %s", style(STDERR_FILENO, STYLE_YELLOW),
                  style(STDERR_FILENO, STYLE_PLAIN), event->attempt,
                  format_duration(text, sizeof text, event->delay));
}

/* "completed  attempt 1  0.9 ms  fuel 478771  ram 16.3 MB" */
static void append_state(struct buffer *b, const capsule_event *event) {
    buffer_printf(b, "%s%s%s", style(STDERR_FILENO, recorded_style(capsule_state_name(event->state))),
                  capsule_state_name(event->state), style(STDERR_FILENO, STYLE_PLAIN));
    if (event->state == CAPSULE_CREATED && event->parent_id != 0)
        buffer_printf(b, "  by #%" PRIu32, event->parent_id);
    if (event->state != CAPSULE_CREATED)
        buffer_printf(b, "  attempt %" PRIu32, event->attempt);
    if (has_ended(event->state))
        append_cost(b, event);
}

/* "GET https://api.example.com/v1?key=***  200  31.4 ms  1.5 kB" */
static void append_request(struct buffer *b, const capsule_event *event) {
    const int fd = STDERR_FILENO;
    char duration[32], bytes[32];
    append_beginning(b, event->method);
    buffer_putc(b, ' ');
    append_beginning(b, event->url);
    if (event->status == 0)
        buffer_printf(b, "  %sno response%s", style(fd, STYLE_RED), style(fd, STYLE_PLAIN));
    else
        buffer_printf(b, "  %s%d%s", style(fd, event->status < 400 ? STYLE_GREEN : STYLE_RED), event->status,
                      style(fd, STYLE_PLAIN));
    buffer_printf(b, "  %s  %s", format_duration(duration, sizeof duration, event->request_duration),
                  format_bytes(bytes, sizeof bytes, event->response_bytes));
}

static void print_lifecycle(const struct report *report, const capsule_event *event) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    append_subject(&b, report, event);
    if (event->kind == CAPSULE_EVENT_REQUEST)
        append_request(&b, event);
    else if (event->kind == CAPSULE_EVENT_RETRY)
        append_retry(&b, event);
    else
        append_state(&b, event);
    if (event->kind != CAPSULE_EVENT_REQUEST)
        append_error(&b, event);
    buffer_putc(&b, '\n');
    output_write(STDERR_FILENO, buffer_text(&b), b.size);
}

static void note_interrupted(struct report *report, const capsule_event *event) {
    if (report->interrupted_n < REPORT_INTERRUPTED_MAX) {
        struct interrupted_task *task = &report->interrupted[report->interrupted_n];
        task->id = event->task_id;
        task->duration = event->duration;
        snprintf(task->name, sizeof task->name, "%s", event->task_name);
    }
    report->interrupted_n++;
}

void report_event(void *user, const capsule_event *event) {
    struct report *report = user;
    if (event->kind == CAPSULE_EVENT_OUTPUT) {
        const int fd = event->stream == 1 && !report->json ? STDOUT_FILENO : STDERR_FILENO;
        /* Whoever read the output is gone, or it's lost: more work would be for nobody. */
        if (output_write(fd, event->bytes, event->bytes_n) != 0 && fd == STDOUT_FILENO)
            capsule_run_cancel(report->run);
        return;
    }
    if (report->began == 0)
        report->began = event->time;
    if (report->verbose)
        print_lifecycle(report, event);
    if (event->kind != CAPSULE_EVENT_STATE)
        return;
    if (has_ended(event->state))
        report->ended[event->state]++;
    if (interrupt_happened() && (event->state == CAPSULE_CANCELLED || event->state == CAPSULE_INTERRUPTED))
        note_interrupted(report, event);
}

/* ---- how it ended ------------------------------------------------------------------------------------------- */

/* A string raw, anything else as JSON: indented for a person, on one line for a program. */
static void print_result(const char *json) {
    const size_t n = strlen(json);
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_TEXT_MAX);
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if ((json[0] == '"' || output_is_terminal(STDOUT_FILENO)) && json_parse(json, n, &document, NULL) == 0) {
        const json_value *value = json_root(document);
        size_t text_n;
        const char *text = json_string(value, &text_n);
        int rc = text != NULL ? buffer_append(&b, text, text_n) : json_write_pretty(value, &b);
        if (rc == 0 && buffer_putc(&b, '\n') == 0) {
            output_write(STDOUT_FILENO, buffer_text(&b), b.size);
            return;
        }
    }
    if (output_write(STDOUT_FILENO, json, n) == 0)
        output_write(STDOUT_FILENO, "\n", 1);
}

/* What helps beyond the message, by the error's type. */
static const char *hint_for(const char *type) {
    static const struct {
        const char *type, *hint;
    } hints[] = {
        {"out_of_fuel", "give the task more compute: \"HIGH\", or an exact amount of fuel"},
        {"out_of_memory", "give the task more ram, such as \"1GB\"; at most 4GiB"},
        {"timeout", "give the task a longer timeout, such as \"5m\", or --timeout for the whole run"},
    };
    for (size_t i = 0; type != NULL && i < sizeof hints / sizeof hints[0]; i++)
        if (strcmp(type, hints[i].type) == 0)
            return hints[i].hint;
    return NULL;
}

static void print_traceback(const char *traceback) {
    if (traceback == NULL)
        return;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_TEXT_MAX);
    output_escape(&b, traceback, false);
    if (b.size > 0 && b.data[b.size - 1] != '\n')
        buffer_putc(&b, '\n');
    output_write(STDERR_FILENO, buffer_text(&b), b.size);
}

static void print_task_error(capsule_run *run) {
    const char *type = capsule_run_error_type(run), *message = capsule_run_error_message(run);
    const char *class_name = capsule_run_error_class(run), *traceback = capsule_run_error_traceback(run);
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_TEXT_MAX);
    print_traceback(traceback);
    buffer_printf(&b, "%s: ", type != NULL ? type : "unknown");
    if (class_name != NULL) {
        append_beginning(&b, class_name);
        buffer_puts(&b, message != NULL && message[0] != '\0' ? ": " : "");
    }
    /* A traceback ends with the whole message. */
    if (traceback != NULL && message != NULL && strlen(message) > REPORT_MESSAGE_MAX)
        append_beginning(&b, message);
    else
        buffer_puts(&b, message != NULL ? message : "");
    output_error(buffer_text(&b), hint_for(type));
}

static void print_interrupted(const struct report *report, capsule_run *run) {
    const size_t shown =
        report->interrupted_n < REPORT_INTERRUPTED_MAX ? report->interrupted_n : REPORT_INTERRUPTED_MAX;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    buffer_puts(&b, "interrupted:");
    for (size_t i = 0; i < shown; i++) {
        char duration[32];
        const struct interrupted_task *task = &report->interrupted[i];
        buffer_printf(&b, "%s #%" PRIu32 " ", i > 0 ? "," : "", task->id);
        output_escape(&b, task->name, true);
        buffer_printf(&b, " after %s", format_duration(duration, sizeof duration, task->duration));
    }
    if (report->interrupted_n > shown)
        buffer_printf(&b, " and %zu more", report->interrupted_n - shown);
    if (report->interrupted_n == 0)
        buffer_printf(&b, " %s",
                      capsule_run_error_message(run) != NULL ? capsule_run_error_message(run) : "the run");
    buffer_putc(&b, '\n');
    /* A terminal shows ^C at the start of this line. */
    if (output_is_terminal(STDERR_FILENO))
        output_write(STDERR_FILENO, "\n", 1);
    output_write(STDERR_FILENO, buffer_text(&b), b.size);
}

/* "1000 tasks: 998 completed, 2 failed", where there are so many lines that nobody counts them. */
static void print_counts(const struct report *report) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    uint64_t all = 0;
    for (capsule_state state = CAPSULE_COMPLETED; state <= CAPSULE_INTERRUPTED; state++)
        all += report->ended[state];
    if (all < 2)
        return;
    buffer_printf(&b, "%" PRIu64 " tasks:", all);
    for (capsule_state state = CAPSULE_COMPLETED; state <= CAPSULE_INTERRUPTED; state++) {
        const bool first = buffer_text(&b)[b.size - 1] == ':';
        if (report->ended[state] > 0)
            buffer_printf(&b, "%s %" PRIu64 " %s", first ? "" : ",", report->ended[state],
                          capsule_state_name(state));
    }
    buffer_putc(&b, '\n');
    output_write(STDERR_FILENO, buffer_text(&b), b.size);
}

int report_outcome(struct report *report, capsule_run *run, capsule_state state) {
    if (report->verbose)
        print_counts(report);
    if (report->json) {
        const char *envelope = capsule_run_envelope(run);
        if (envelope == NULL) {
            output_error("out of memory", NULL);
            return EXIT_USAGE;
        }
        if (output_write(STDOUT_FILENO, envelope, strlen(envelope)) == 0)
            output_write(STDOUT_FILENO, "\n", 1);
    }
    if (state == CAPSULE_COMPLETED) {
        if (!report->json)
            print_result(capsule_run_result(run));
        return EXIT_OK;
    }
    if (state == CAPSULE_SUSPENDED) {
        recorded_tell_suspended(report->journal_dir, capsule_run_id(run), capsule_run_waits_for(run));
        return EXIT_SUSPENDED;
    }
    if (interrupt_happened()) {
        print_interrupted(report, run);
        return EXIT_INTERRUPTED;
    }
    if (output_failed()) /* we cancelled it ourselves; output_finish says why */
        return EXIT_USAGE;
    print_task_error(run);
    return state == CAPSULE_TIMED_OUT ? EXIT_TIMED_OUT : EXIT_TASK;
}

/* The envelope's word for an error that no task caused. */
static const char *type_of(int code) {
    switch (code) {
    case CAPSULE_E_NOT_FOUND:
        return "not_found";
    case CAPSULE_E_INVALID:
    case CAPSULE_E_PROJECT:
        return "bad_input";
    case CAPSULE_E_IMPORT:
        return "task_error";
    case CAPSULE_E_CANCELLED:
        return "cancelled";
    default:
        return "host_error";
    }
}

int report_failure(const struct report *report, const capsule_error *error) {
    if (report->json) {
        CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
        buffer_printf(&b, "{\"success\":false,\"result\":null,\"error\":{\"type\":\"%s\",\"message\":",
                      type_of(error->code));
        json_write_string(&b, error->message, strlen(error->message));
        buffer_puts(&b, "},\"execution\":null}\n");
        output_write(STDOUT_FILENO, buffer_text(&b), b.size);
    }
    if (error->code == CAPSULE_E_IMPORT) { /* the message is what the language prints, ready as it is */
        print_traceback(error->message);
        CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
        buffer_printf(&b, "%s failed while it was imported", report->file != NULL ? report->file : "the program");
        output_error(buffer_text(&b), error->hint);
    } else {
        output_error(error->message, error->hint);
    }
    return EXIT_USAGE;
}
