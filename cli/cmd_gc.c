/* `capsule gc`: removes old runs from the record. */
#include "base/json.h"
#include "base/units.h"
#include "command.h"
#include "recorded.h"
#include "show_tasks.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { GC_DRY_RUN, GC_JSON, GC_OLDER_THAN, GC_PROJECT, GC_OPTIONS };

static const char older_than_default[] = "30d";

static const struct option options[] = {
    [GC_DRY_RUN] = {"dry-run", NULL, "only say what would be removed", 0},
    [GC_JSON] = {"json", NULL, "print the numbers as a JSON object", 0},
    [GC_OLDER_THAN] = {"older-than", "DURATION", "remove runs that ended longer ago: 12h, 30d (default: 30d)", 0},
    [GC_PROJECT] = RECORDED_PROJECT_OPTION,
};

static const char details[] =
    "Removes runs that ended some time ago from the project's record, then values and images that no\n"
    "run needs any more. Runs that haven't ended stay, however old they are: `capsule cancel` ends one.\n";

static void put_part(struct buffer *b, uint64_t n, const char *what) {
    buffer_printf(b, "%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

static int print(const json_value *numbers) {
    char bytes[32], left[32];
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    const uint64_t runs_left = show_number(numbers, "runs_left");
    buffer_puts(&b, json_bool(json_get(numbers, "dry_run"), false) ? "would remove " : "removed ");
    put_part(&b, show_number(numbers, "runs"), "run");
    buffer_puts(&b, ", ");
    put_part(&b, show_number(numbers, "blobs"), "large value");
    buffer_puts(&b, ", ");
    put_part(&b, show_number(numbers, "images"), "image");
    const uint64_t all = show_number(numbers, "events_bytes") + show_number(numbers, "blobs_bytes") +
                         show_number(numbers, "images_bytes");
    buffer_printf(&b, "; %s. Left: ", format_bytes(bytes, sizeof bytes, all));
    put_part(&b, runs_left, "run");
    buffer_printf(&b, ", %s\n", format_bytes(left, sizeof left, show_number(numbers, "bytes_left")));
    output_write(STDOUT_FILENO, buffer_text(&b), b.size);
    return EXIT_OK;
}

static int gc_main(const struct command *self, int argc, char **argv) {
    const char *values[GC_OPTIONS] = {0};
    struct operands none = {0};
    struct error err;
    uint64_t age = 0;
    int rc = command_read(self, argc, argv, values, &none);
    if (rc != COMMAND_GO_ON)
        return rc;
    if (units_duration(values[GC_OLDER_THAN] != NULL ? values[GC_OLDER_THAN] : older_than_default, &age, &err) !=
        0) {
        option_bad_value("older-than", &err);
        return command_refuse(&err);
    }
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    if ((rc = recorded_open(values[GC_PROJECT], &journal)) != COMMAND_GO_ON)
        return rc;
    capsule_error error = {0};
    char *text = NULL;
    if (capsule_journal_collect(journal, age, values[GC_DRY_RUN] != NULL, &text, &error) != CAPSULE_OK) {
        output_error(error.message, error.hint);
        return EXIT_USAGE;
    }
    CLEANUP(json_cleanup) struct json_document *numbers = NULL;
    rc = json_parse(text, strlen(text), &numbers, &err);
    capsule_free(text);
    if (rc != 0)
        return command_refuse(&err);
    return values[GC_JSON] != NULL ? recorded_print_json(json_root(numbers)) : print(json_root(numbers));
}

const struct command command_gc = {
    .name = "gc",
    .operands = "",
    .summary = "remove old runs from the record",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = gc_main,
};
