/* `capsule version`: one line; with --verbose or --json also the engine and the guests. */
#include "base/json.h"
#include "command.h"
#include "diagnosis.h"
#include "output.h"
#include <capsule.h>
#include <unistd.h>

enum { VERSION_JSON, VERSION_VERBOSE };

static const struct option options[] = {
    [VERSION_JSON] = {"json", NULL, "print an object with the versions of all parts", 0},
    [VERSION_VERBOSE] = {"verbose", NULL, "print the versions of all parts", 'v'},
};

static void print_json(const json_value *diagnosis) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    static const char *const keys[] = {"version", "engine", "guests"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        buffer_printf(&b, "%c\"%s\":", i == 0 ? '{' : ',', keys[i]);
        if (json_get(diagnosis, keys[i]) == NULL)
            buffer_puts(&b, "null");
        else
            json_write(json_get(diagnosis, keys[i]), &b);
    }
    buffer_puts(&b, "}\n");
    output_write(STDOUT_FILENO, buffer_text(&b), b.size);
}

static void print_parts(const json_value *diagnosis) {
    output_printf(STDOUT_FILENO, "capsule %s\nengine  %s\n", capsule_version(),
                  json_text(json_get(diagnosis, "engine"), "unknown"));
    const json_value *guests = json_get(diagnosis, "guests");
    for (size_t i = 0; i < json_size(guests); i++)
        output_printf(STDOUT_FILENO, "guest   %s %s\n", json_text(json_get(json_at(guests, i), "name"), "?"),
                      json_text(json_get(json_at(guests, i), "version"), "?"));
}

static int version_main(const struct command *self, int argc, char **argv) {
    bool flags[sizeof options / sizeof options[0]] = {false};
    const int got = command_read_flags(self, argc, argv, flags);
    if (got != COMMAND_GO_ON)
        return got;
    if (!flags[VERSION_JSON] && !flags[VERSION_VERBOSE]) {
        output_printf(STDOUT_FILENO, "capsule %s\n", capsule_version());
        return EXIT_OK;
    }
    capsule_error error = {0};
    CLEANUP(json_cleanup) struct json_document *diagnosis = NULL;
    if (diagnosis_make(&diagnosis, &error) != CAPSULE_OK) {
        output_error(error.message, error.hint);
        return EXIT_USAGE;
    }
    (flags[VERSION_JSON] ? print_json : print_parts)(json_root(diagnosis));
    return EXIT_OK;
}

const struct command command_version = {
    .name = "version",
    .operands = "",
    .summary = "print the version",
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = version_main,
};
