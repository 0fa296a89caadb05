/* `capsule doctor`: what this installation can do, and what would mend what it can't. */
#include "base/json.h"
#include "command.h"
#include "diagnosis.h"
#include "output.h"
#include <capsule.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const struct option options[] = {
    {"json", NULL, "print the findings as a JSON object", 0},
};

static const char details[] = "Exit codes: 0 when every check passes, 1 when one fails.\n";

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

static int report(const struct json_document *diagnosis, bool json) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX), checks = BUFFER_INIT(OUTPUT_LINE_MAX);
    const bool all = put_checks(&checks, json_get(json_root(diagnosis), "checks"));
    if (json) {
        json_write(json_root(diagnosis), &b);
        buffer_putc(&b, '\n');
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
