/* `capsule run`: loads a program, runs its entry task, shows what happens. */
#include "command.h"
#include "execute.h"
#include "output.h"
#include "recorded.h"
#include "run_arguments.h"
#include <capsule.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUN_ARGS_FILE,
    RUN_DURABLE,
    RUN_ENV,
    RUN_JOBS,
    RUN_JSON,
    RUN_MOUNT,
    RUN_NO_CACHE,
    RUN_NO_JOURNAL,
    RUN_ID,
    RUN_SUSPEND_AFTER,
    RUN_TASK,
    RUN_TIMEOUT,
    RUN_VERBOSE,
    RUN_WAIT
};

static const struct option options[] = {
    [RUN_ARGS_FILE] = {"args-file", "FILE",
                       "take the arguments from a JSON file: an array, or an object of\n"
                       "keyword arguments; - reads standard input",
                       0},
    [RUN_DURABLE] = {"durable", NULL,
                     "let what is on record survive the loss of power, not only the end\n"
                     "of this process; costs a write to disk per step",
                     0},
    [RUN_ENV] = {"env", "NAME[=VALUE]",
                 "give every task this variable; without a value, that of the\n"
                 "environment or .env; may be repeated",
                 0},
    [RUN_JOBS] = {"jobs", "N", "run tasks on N threads, 1 to 256, instead of one per core", 0},
    [RUN_JSON] = {"json", NULL,
                  "print the result envelope, and nothing else, on standard output;\n"
                  "what tasks print goes to standard error",
                  0},
    [RUN_MOUNT] = {"mount", "HOST[:GUEST][:ro|rw]",
                   "give every task this file or folder, read-only unless :rw;\n"
                   "may be repeated",
                   0},
    [RUN_NO_CACHE] = {"no-cache", NULL, "import the program anew and keep nothing of it", 0},
    [RUN_NO_JOURNAL] = {"no-journal", NULL, "don't record the run; it can't be resumed then", 0},
    [RUN_ID] = {"run-id", "ID",
                "name the run; if it's on record already, go on with that one, or\n"
                "print its outcome again",
                0},
    [RUN_SUSPEND_AFTER] = OPTION_SUSPEND_AFTER,
    [RUN_TASK] = {"task", "NAME", "run this task instead of main", 0},
    [RUN_TIMEOUT] = {"timeout", "DURATION", "end the whole run after this time: 500ms, 30s, 5m, 1h", 0},
    [RUN_VERBOSE] = {"verbose", NULL, "print a line for each step in the life of each task", 'v'},
    [RUN_WAIT] = {"wait", NULL,
                  "wait here for signals and times that tasks wait for, instead of\n"
                  "being suspended",
                  0},
};

static const char details[] =
    "FILE is a program in Python (.py), TypeScript (.ts, .tsx, .mts, .cts) or JavaScript (.js, .jsx,\n"
    ".mjs, .cjs). Without it, the entrypoint of the nearest capsule.toml is run.\n"
    "\n"
    "The task that runs is the one named main, or in Python the only one. Each ARG is passed to it in\n"
    "order: as the JSON value if it is valid JSON, else as a string. Options of capsule may stand\n"
    "before or after FILE; arguments that begin with dashes go after --:\n"
    "\n"
    "    capsule run add.py 1 2 --verbose\n"
    "    capsule run greet.py -- --not-an-option\n"
    "\n"
    "The result goes to standard output (a string as it is, anything else as JSON).\n"
    "\n"
    "The run is recorded in the folder .capsule of the project: `capsule ps` lists it, and it survives\n"
    "the end of this process (`capsule resume`).\n"
    "\n"
    "Exit codes: 0 success, 1 the task failed, 2 the command line, the project or the machine is at\n"
    "fault, 75 suspended until a signal or a time comes, 124 timed out, 130 interrupted.\n";

struct request {
    const char *file, *task, *args_file, *run_id;
    uint64_t timeout, suspend_after; /* 0: not given */
    unsigned jobs;                   /* 0: not given */
    bool json, verbose, no_cache, durable, wait, no_journal;
    capsule_mount *mounts;
    capsule_variable *variables;
    char **words; /* the operands after FILE */
    size_t mounts_n, variables_n, words_n;
};

static void request_done(struct request *q) {
    for (size_t i = 0; i < q->mounts_n; i++)
        free((char *)(uintptr_t)q->mounts[i].host); /* its guest lies in the same text */
    for (size_t i = 0; i < q->variables_n; i++)
        free((char *)(uintptr_t)q->variables[i].name);
    free(q->mounts);
    free(q->variables);
    free(q->words);
}

/* HOST[:GUEST][:ro|rw], cut into pieces in place. */
static int parse_mount(char *text, capsule_mount *ret, struct error *err) {
    capsule_mount mount = {.host = text};
    char *last = strrchr(text, ':');
    if (last != NULL && (strcmp(last, ":ro") == 0 || strcmp(last, ":rw") == 0)) {
        mount.writable = last[2] == 'w';
        *last = '\0';
    }
    char *colon = strchr(text, ':');
    if (colon != NULL) {
        *colon = '\0';
        mount.guest = colon + 1;
    }
    const bool whole = text[0] != '\0' && (colon == NULL || (colon[1] != '\0' && strchr(colon + 1, ':') == NULL));
    if (!whole) {
        error_set(err, ERROR_INVALID, "option --mount can't be read");
        error_hint(err, "write --mount HOST, HOST:GUEST, or either with :ro or :rw at its end");
        return ERROR_INVALID;
    }
    *ret = mount;
    return 0;
}

static int add_mount(struct request *q, const char *value, struct error *err) {
    char *text = strdup(value);
    if (text == NULL)
        return error_set(err, ERROR_NOMEM, "out of memory");
    int rc = parse_mount(text, &q->mounts[q->mounts_n], err);
    if (rc != 0)
        free(text);
    else
        q->mounts_n++;
    return rc;
}

static int add_variable(struct request *q, const char *value, struct error *err) {
    if (value[0] == '\0' || value[0] == '=') {
        error_set(err, ERROR_INVALID, "option --env needs a name");
        error_hint(err, "write --env NAME or --env NAME=VALUE");
        return ERROR_INVALID;
    }
    char *text = strdup(value);
    if (text == NULL)
        return error_set(err, ERROR_NOMEM, "out of memory");
    capsule_variable *variable = &q->variables[q->variables_n++];
    char *equals = strchr(text, '=');
    variable->name = text;
    if (equals != NULL) {
        *equals = '\0';
        variable->value = equals + 1;
    }
    return 0;
}

static int set_option(struct request *q, int option, const char *value, struct error *err) {
    switch (option) {
    case RUN_ARGS_FILE:
        q->args_file = value;
        return 0;
    case RUN_ENV:
        return add_variable(q, value, err);
    case RUN_JOBS:
        return option_jobs(value, &q->jobs, err);
    case RUN_MOUNT:
        return add_mount(q, value, err);
    case RUN_TIMEOUT:
        return option_timeout(value, &q->timeout, err);
    case RUN_SUSPEND_AFTER:
        return option_suspend_after(value, &q->suspend_after, err);
    case RUN_TASK:
        q->task = value;
        return 0;
    case RUN_ID:
        q->run_id = value;
        return 0;
    default: {
        bool *const flags[] = {
            [RUN_DURABLE] = &q->durable,       [RUN_JSON] = &q->json,       [RUN_NO_CACHE] = &q->no_cache,
            [RUN_NO_JOURNAL] = &q->no_journal, [RUN_VERBOSE] = &q->verbose, [RUN_WAIT] = &q->wait};
        *flags[option] = true;
        return 0;
    }
    }
}

/* What can't be meant together. */
static int check_request(const struct request *q, struct error *err) {
    const char *needs_journal = q->run_id != NULL ? "run-id" : q->durable ? "durable" : q->wait ? "wait" : NULL;
    if (q->args_file != NULL && q->words_n > 0) {
        error_set(err, ERROR_INVALID, "arguments are given twice: on the command line and by --args-file");
        return OPTION_BAD;
    }
    if (q->wait && q->suspend_after != 0) {
        error_set(err, ERROR_INVALID, "--wait and --suspend-after exclude each other");
        return OPTION_BAD;
    }
    if (q->no_journal && needs_journal != NULL) {
        error_set(err, ERROR_INVALID, "--no-journal and --%s exclude each other", needs_journal);
        error_hint(err, "--%s is about what is recorded of a run", needs_journal);
        return OPTION_BAD;
    }
    return 0;
}

/* 0, OPTION_HELP or OPTION_BAD. */
static int read_request(const struct command *self, int argc, char **argv, struct request *q, struct error *err) {
    struct option_reader reader = {
        .options = options, .options_n = self->options_n, .argv = argv, .argc = argc, .command = self->name};
    /* No more than argc of anything can come. */
    const size_t room = (size_t)argc + 1;
    q->mounts = calloc(room, sizeof *q->mounts);
    q->variables = calloc(room, sizeof *q->variables);
    q->words = calloc(room, sizeof *q->words);
    if (q->mounts == NULL || q->variables == NULL || q->words == NULL) {
        error_set(err, ERROR_NOMEM, "out of memory");
        return OPTION_BAD;
    }
    for (;;) {
        const char *value = NULL;
        const int got = option_next(&reader, &value, err);
        if (got == OPTION_END)
            break;
        if (got == OPTION_HELP || got == OPTION_BAD)
            return got;
        if (got == OPTION_OPERAND && reader.operands == 1)
            q->file = value;
        else if (got == OPTION_OPERAND)
            q->words[q->words_n++] = argv[reader.at - 1];
        else if (set_option(q, got, value, err) != 0)
            return OPTION_BAD;
    }
    return check_request(q, err);
}

static int run_recorded(const struct request *q, const char *journal_dir) {
    const struct execution e = {.json = q->json,
                                .verbose = q->verbose,
                                .wait = q->wait,
                                .jobs = q->jobs,
                                .suspend_after = q->suspend_after,
                                .timeout = q->timeout,
                                .journal_dir = journal_dir,
                                .run_id = q->run_id,
                                .file = q->file};
    return execute(&e, NULL);
}

static int run_new(const struct request *q, const struct run_arguments *arguments) {
    const capsule_app_options app = {.mounts = q->mounts,
                                     .mounts_n = q->mounts_n,
                                     .variables = q->variables,
                                     .variables_n = q->variables_n,
                                     .no_cache = q->no_cache,
                                     .journal = !q->no_journal};
    const capsule_run_options run = {.task = q->task,
                                     .args_json = arguments->positional,
                                     .kwargs_json = arguments->keywords,
                                     .run_id = q->run_id,
                                     .durable = q->durable};
    const struct execution e = {.json = q->json,
                                .verbose = q->verbose,
                                .wait = q->wait,
                                .jobs = q->jobs,
                                .suspend_after = q->suspend_after,
                                .timeout = q->timeout,
                                .file = q->file,
                                .app = &app,
                                .run = &run};
    return execute(&e, NULL);
}

static int run_main(const struct command *self, int argc, char **argv) {
    struct error err;
    CLEANUP(request_done) struct request q = {0};
    CLEANUP(run_arguments_done) struct run_arguments arguments = {0};
    const int got = read_request(self, argc, argv, &q, &err);
    if (got == OPTION_HELP)
        return help_command(self);
    int rc = got;
    if (rc == 0 && q.args_file != NULL)
        rc = run_arguments_from_file(q.args_file, &arguments, &err);
    else if (rc == 0)
        rc = run_arguments_from_words(q.words, q.words_n, &arguments, &err);
    if (rc != 0)
        return command_refuse(&err);
    CLEANUP(cleanup_free) char *journal_dir = NULL;
    if (q.run_id != NULL && (rc = recorded_of_program(q.file, q.run_id, &journal_dir)) != COMMAND_GO_ON)
        return rc;
    return journal_dir != NULL ? run_recorded(&q, journal_dir) : run_new(&q, &arguments);
}

const struct command command_run = {
    .name = "run",
    .operands = "[FILE [ARG…]]",
    .summary = "run a program's entry task in a sandbox",
    .details = details,
    .options = options,
    .options_n = sizeof options / sizeof options[0],
    .main = run_main,
};
