/* `capsule doctor`: what this installation can do, and what would mend what it can't. */
#include "base/json.h"
#include "command.h"
#include "diagnosis.h"
#include "output.h"
#include <capsule.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct option options[] = {
    {"json", NULL, "print the findings as a JSON object", 0},
};

static const char details[] =
    "Checks the project's record of runs, too, if the working directory lies in a project that has one.\n"
    "\n"
    "Exit codes: 0 when every check passes, 1 when one fails.\n";

/* The record of the project's runs, looked at. */
struct record {
    bool there, ok;
    char *problems; /* of one that can be read */
    capsule_error error;
    char detail[4352];
};

static void record_done(struct record *r) {
    capsule_free(r->problems);
}

/* Problems come one per line; the first says enough, with how many there are. */
static void sum_up(struct record *r, const char *dir) {
    size_t lines = 0;
    for (const char *p = r->problems; *p != '\0'; p++)
        lines += *p == '\n' || p[1] == '\0';
    const int first = (int)strcspn(r->problems, "\n");
    if (lines == 0)
        snprintf(r->detail, sizeof r->detail, "%.4096s is sound", dir);
    else if (lines == 1)
        snprintf(r->detail, sizeof r->detail, "%.*s", first, r->problems);
    else
        snprintf(r->detail, sizeof r->detail, "%.*s; and %zu more", first, r->problems, lines - 1);
    r->ok = lines == 0;
    snprintf(r->error.hint, sizeof r->error.hint,
             "runs that can't be read can't be resumed; move the folder %.300s away to begin a new record", dir);
}

static void check_record(struct record *ret) {
    capsule_journal *journal = NULL;
    int rc = capsule_journal_open(NULL, &journal, &ret->error);
    ret->there = rc != CAPSULE_E_NOT_FOUND;
    if (rc == CAPSULE_OK)
        rc = capsule_journal_verify(journal, &ret->problems, &ret->error);
    if (rc == CAPSULE_OK)
        sum_up(ret, capsule_journal_dir(journal));
    else
        snprintf(ret->detail, sizeof ret->detail, "%.4096s", ret->error.message);
    if (journal != NULL)
        capsule_journal_close(journal);
}

static void put_text(struct buffer *b, const json_value *v, const char *fallback) {
    output_escape(b, json_text(v, fallback), true);
}

static void put_check(struct buffer *b, const char *name, bool ok, const char *detail, const char *fix) {
    const int fd = STDOUT_FILENO;
    buffer_printf(b, "  %s%s%s  ", style(fd, ok ? STYLE_GREEN : STYLE_RED), ok ? "ok" : "✗ ",
                  style(fd, STYLE_PLAIN));
    buffer_printf(b, "%-14s  ", name);
    output_escape(b, detail, true);
    buffer_putc(b, '\n');
    if (!ok && fix != NULL && fix[0] != '\0') {
        buffer_printf(b, "      %sfix:%s ", style(fd, STYLE_YELLOW), style(fd, STYLE_PLAIN));
        output_escape(b, fix, true);
        buffer_putc(b, '\n');
    }
}

/* Returns whether all checks pass. */
static bool put_checks(struct buffer *b, const json_value *checks) {
    bool all = true;
    for (size_t i = 0; i < json_size(checks); i++) {
        const json_value *check = json_at(checks, i);
        const bool ok = json_bool(json_get(check, "ok"), false);
        put_check(b, json_text(json_get(check, "name"), "?"), ok, json_text(json_get(check, "detail"), ""),
                  json_text(json_get(check, "fix"), NULL));
        all &= ok;
    }
    return all;
}

static void put_summary(struct buffer *b, const json_value *diagnosis) {
    buffer_printf(b, "capsule %s\n\n  engine   ", capsule_version());
    put_text(b, json_get(diagnosis, "engine"), "unknown");
    const json_value *guests = json_get(diagnosis, "guests"), *cache = json_get(diagnosis, "cache");
    for (size_t i = 0; i < json_size(guests); i++) {
        buffer_puts(b, "\n  guest    ");
        put_text(b, json_get(json_at(guests, i), "name"), "?");
        buffer_putc(b, ' ');
        put_text(b, json_get(json_at(guests, i), "version"), "");
        if (!json_bool(json_get(json_at(guests, i), "ready"), false))
            buffer_puts(b, " (not ready)");
    }
    buffer_puts(b, "\n  kernel   ");
    put_text(b, json_get(json_get(diagnosis, "kernel"), "release"), "unknown");
    uint64_t bytes = 0, objects = 0;
    char size[32];
    json_u64(json_get(cache, "bytes"), &bytes);
    json_u64(json_get(cache, "objects"), &objects);
    buffer_puts(b, "\n  cache    ");
    put_text(b, json_get(cache, "path"), "none");
    buffer_printf(b, ", %s in %" PRIu64 " %s\n\n", format_bytes(size, sizeof size, bytes), objects,
                  objects == 1 ? "object" : "objects");
}

/* The runtime couldn't be opened at all: that is a finding too. */
static int report_no_runtime(const capsule_error *error, bool json) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    if (json) {
        buffer_printf(&b, "{\"version\":\"%s\",\"checks\":[{\"name\":\"runtime\",\"ok\":false,\"detail\":",
                      capsule_version());
        json_write_string(&b, error->message, strlen(error->message));
        buffer_puts(&b, ",\"fix\":");
        json_write_string(&b, error->hint, strlen(error->hint));
        buffer_puts(&b, "}]}\n");
    } else {
        buffer_printf(&b, "capsule %s\n\n", capsule_version());
        put_check(&b, "runtime", false, error->message, error->hint);
    }
    output_write(STDOUT_FILENO, buffer_text(&b), b.size);
    return EXIT_TASK;
}

static void put_json_check(struct buffer *b, const struct record *record) {
    buffer_printf(b, ",{\"name\":\"journal\",\"ok\":%s,\"detail\":", record->ok ? "true" : "false");
    json_write_string(b, record->detail, strlen(record->detail));
    if (!record->ok) {
        buffer_puts(b, ",\"fix\":");
        json_write_string(b, record->error.hint, strlen(record->error.hint));
    }
    buffer_putc(b, '}');
}

/* The diagnosis with one more check. */
static void put_json(struct buffer *b, const json_value *diagnosis, const struct record *record) {
    size_t cursor = 0;
    const char *key = NULL;
    buffer_putc(b, '{');
    for (const json_value *value; (value = json_next(diagnosis, &cursor, &key)) != NULL;) {
        buffer_puts(b, b->size > 1 ? "," : "");
        json_write_string(b, key, strlen(key));
        buffer_putc(b, ':');
        json_write(value, b);
        if (record->there && strcmp(key, "checks") == 0 && json_size(value) > 0) {
            b->size--; /* the bracket */
            put_json_check(b, record);
            buffer_putc(b, ']');
        }
    }
    buffer_puts(b, "}\n");
}

static int report(const struct json_document *diagnosis, bool json) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX), checks = BUFFER_INIT(OUTPUT_LINE_MAX);
    CLEANUP(record_done) struct record record = {0};
    check_record(&record);
    bool all = put_checks(&checks, json_get(json_root(diagnosis), "checks"));
    if (record.there) {
        put_check(&checks, "journal", record.ok, record.detail, record.error.hint);
        all &= record.ok;
    }
    if (json) {
        put_json(&b, json_root(diagnosis), &record);
    } else {
        put_summary(&b, json_root(diagnosis));
        buffer_append(&b, buffer_text(&checks), checks.size);
    }
    output_write(STDOUT_FILENO, buffer_text(&b), b.size);
    return all ? EXIT_OK : EXIT_TASK;
}

static int doctor_main(const struct command *self, int argc, char **argv) {
    bool json = false;
    const int got = command_read_flags(self, argc, argv, &json);
    if (got != COMMAND_GO_ON)
        return got;
    capsule_error error = {0};
    CLEANUP(json_cleanup) struct json_document *diagnosis = NULL;
    if (diagnosis_make(&diagnosis, &error) != CAPSULE_OK)
        return report_no_runtime(&error, json);
    return report(diagnosis, json);
}

const struct command command_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "say what this installation can do, and how to mend what it can't",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = doctor_main,
};
