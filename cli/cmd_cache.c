/* `capsule cache prune`: makes the cache smaller. */
#include "base/units.h"
#include "command.h"
#include "output.h"
#include <capsule.h>
#include <inttypes.h>
#include <unistd.h>

enum { PRUNE_ALL, PRUNE_MAX_SIZE };

#define PRUNE_DEFAULT UINT64_C(1000000000)

static const struct option options[] = {
    [PRUNE_ALL] = {"all", NULL, "remove everything", 0},
    [PRUNE_MAX_SIZE] = {"max-size", "SIZE", "keep at most this much: 500MB, 2GB (default: 1GB)", 0},
};

static const char details[] =
    "Removes what was used least recently until the cache fits, and what interrupted processes left\n"
    "behind. Programs that are running keep what they use; what is missing later is built again.\n";

/* 0, OPTION_HELP or OPTION_BAD. */
static int read_limit(const struct command *self, int argc, char **argv, uint64_t *ret, struct error *err) {
    struct option_reader reader = {
        .options = options, .options_n = self->options_n, .argv = argv, .argc = argc, .command = self->name};
    bool all = false, sized = false;
    for (;;) {
        const char *value = NULL;
        const int got = option_next(&reader, &value, err);
        if (got == OPTION_END)
            break;
        if (got == OPTION_HELP || got == OPTION_BAD)
            return got;
        if (got == OPTION_OPERAND)
            return option_refuse_operand(&reader, value, err);
        if (got == PRUNE_MAX_SIZE && units_size(value, ret, err) != 0)
            return option_bad_value("max-size", err);
        all |= got == PRUNE_ALL;
        sized |= got == PRUNE_MAX_SIZE;
    }
    if (all && sized) {
        error_set(err, ERROR_INVALID, "--all and --max-size exclude each other");
        return OPTION_BAD;
    }
    if (all)
        *ret = 0;
    return 0;
}

static int prune(uint64_t limit) {
    capsule_error error = {0};
    capsule_runtime *runtime = NULL;
    uint64_t objects = 0, removed = 0, left = 0;
    int rc = capsule_open(NULL, &runtime, &error);
    if (rc == CAPSULE_OK) {
        rc = capsule_cache_prune(runtime, limit, &objects, &removed, &left, &error);
        capsule_close(runtime);
    }
    if (rc != CAPSULE_OK) {
        output_error(error.message, error.hint);
        return EXIT_USAGE;
    }
    char removed_text[32], left_text[32];
    output_printf(STDOUT_FILENO, "removed %" PRIu64 " %s, %s; %s left\n", objects,
                  objects == 1 ? "object" : "objects", format_bytes(removed_text, sizeof removed_text, removed),
                  format_bytes(left_text, sizeof left_text, left));
    return EXIT_OK;
}

static int prune_main(const struct command *self, int argc, char **argv) {
    struct error err;
    uint64_t limit = PRUNE_DEFAULT;
    const int got = read_limit(self, argc, argv, &limit, &err);
    if (got == OPTION_HELP)
        return help_command(self);
    if (got == OPTION_BAD) {
        output_error(err.message, err.hint);
        return EXIT_USAGE;
    }
    return prune(limit);
}

const struct command command_cache_prune = {
    .name = "cache prune",
    .operands = "",
    .summary = "make the cache smaller",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = prune_main,
};
