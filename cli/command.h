/* What every command of the program has in common. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "options.h"
#include <stddef.h>

/* docs/reference/cli.md repeats them. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_TASK = 1,          /* the task failed; doctor: a check failed */
    EXIT_USAGE = 2,         /* the command line, the project or the machine: there is no outcome of a task */
    EXIT_SUSPENDED = 75,    /* the run waits for a signal or a time; EX_TEMPFAIL of sysexits.h: try again later */
    EXIT_TIMED_OUT = 124,   /* as timeout(1) */
    EXIT_INTERRUPTED = 130, /* as a shell reports SIGINT */
};

struct command {
    const char *name;     /* as typed: "run", "cache prune" */
    const char *operands; /* for the usage line: "FILE [ARG…]" */
    const char *summary;  /* one line, for the list of commands */
    const char *details;  /* more for the command's own help; may be NULL */
    const struct option *options;
    size_t options_n;
    /* argv: what follows the command's name. Returns the exit code. */
    int (*main)(const struct command *self, int argc, char **argv);
};

extern const struct command command_cache_prune, command_cancel, command_doctor, command_fork, command_gc,
    command_help, command_logs, command_ps, command_resume, command_run, command_show, command_signal,
    command_version, command_worker;
extern const struct command *const commands[]; /* in the order of the help; ends with NULL */

/* The command whose name is words[0] or words[0] and words[1]; NULL if there is none. */
const struct command *command_find(int n, char *const *words, int *ret_used);

enum { COMMAND_GO_ON = -1, COMMAND_FLAGS_MAX = 8 };
/* Reads the command line of a command that has flags only: seen[i] says whether option i was given. Returns
 * COMMAND_GO_ON, or the exit code when help was asked for or the command line is wrong; the user has been told
 * then. */
int command_read_flags(const struct command *self, int argc, char **argv, bool *seen);

/* What stands between the options. */
struct operands {
    const char *words[3];
    size_t n, min, max; /* how many there may be */
};
/* The same for any command line: values[i] is the value of option i, "" for a flag, NULL if it wasn't given; what is given
 * twice counts as given last. */
int command_read(const struct command *self, int argc, char **argv, const char **values,
                 struct operands *operands);
/* Prints what is wrong with a command line. Returns EXIT_USAGE. */
int command_refuse(const struct error *err);

/* Prints what is wrong with the command line, with the nearest known command. Returns EXIT_USAGE. */
int command_unknown(const char *word);

/* Prints a command's help, or that of the program for NULL. Return the exit code. */
int help_command(const struct command *command);
int help_program(void);
/* What follows `capsule cache` isn't a command of it, or asks for help. */
int help_cache(int argc, char **argv);

#endif
