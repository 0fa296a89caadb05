/* Options of a command line, read from a table.
 *
 *   --name VALUE, --name=VALUE, --flag     and single letters for a few: -v, -h
 *   --                                     everything after it is an operand
 *   -, -5, -1.5                            are operands: standard input and negative numbers
 *
 * Options and operands may be mixed. A value that starts with two dashes must be written as --name=VALUE. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct option {
    const char *name;  /* without dashes */
    const char *value; /* how the help calls its value; NULL: the option is a flag */
    const char *help;
    char letter; /* 0: none */
};

enum { OPTION_JOBS_MAX = 256 }; /* capsule_runtime_options.jobs */

enum { OPTION_END = -1, OPTION_OPERAND = -2, OPTION_HELP = -3, OPTION_BAD = -4 };

struct option_reader {
    const struct option *options;
    size_t options_n;
    char **argv;
    int argc, at;
    int operands;        /* seen so far */
    bool ended;          /* by "--" */
    const char *command; /* for messages: "run" */
};

/* Reads the next item: an index into the table, or one of the above. *ret_value: the operand, or the option's
 * value, or NULL. OPTION_BAD: err says what is wrong. */
int option_next(struct option_reader *r, const char **ret_value, struct error *err);

/* For commands without operands: fills err and returns OPTION_BAD. */
int option_refuse_operand(const struct option_reader *r, const char *operand, struct error *err);

#define OPTION_SUSPEND_AFTER                                                                                      \
    {"suspend-after", "DURATION", "be suspended rather than wait longer than this (default: 1m)", 0}

/* Values of options that several commands have. Return 0 or OPTION_BAD. */
int option_timeout(const char *value, uint64_t *ret, struct error *err);
int option_suspend_after(const char *value, uint64_t *ret, struct error *err);
int option_jobs(const char *value, unsigned *ret, struct error *err);

/* Puts the option's name before an error about its value. Returns OPTION_BAD. */
int option_bad_value(const char *name, struct error *err);

#endif
