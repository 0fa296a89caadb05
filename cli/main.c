/* The program: finds the command and runs it. Everything that prints or exits is in this folder. */
#include "base/suggest.h"
#include "command.h"
#include "output.h"
#include <stdio.h>
#include <string.h>

const struct command *const commands[] = {
    &command_run,    &command_resume,      &command_signal,  &command_cancel, &command_ps,
    &command_show,   &command_logs,        &command_fork,    &command_gc,     &command_worker,
    &command_doctor, &command_cache_prune, &command_version, &command_help,   NULL};

const struct command *command_find(int n, char *const *words, int *ret_used) {
    for (size_t i = 0; commands[i] != NULL && n > 0; i++) {
        const char *name = commands[i]->name, *space = strchr(name, ' ');
        const size_t first = space != NULL ? (size_t)(space - name) : strlen(name);
        if (strlen(words[0]) != first || memcmp(words[0], name, first) != 0)
            continue;
        if (space != NULL && (n < 2 || strcmp(words[1], space + 1) != 0))
            continue;
        *ret_used = space != NULL ? 2 : 1;
        return commands[i];
    }
    return NULL;
}

int command_unknown(const char *word) {
    const char *names[32];
    size_t n = 0;
    for (size_t i = 0; commands[i] != NULL && n < sizeof names / sizeof names[0]; i++)
        names[n++] = commands[i]->name;
    const char *nearest = suggest_nearest(word, names, n);
    char message[256], hint[256];
    snprintf(message, sizeof message, "unknown command '%.100s'", word);
    if (nearest != NULL)
        snprintf(hint, sizeof hint, "did you mean `capsule %s`? `capsule --help` lists the commands", nearest);
    else if (strchr(word, '.') != NULL)
        snprintf(hint, sizeof hint, "to run a program: capsule run %.100s", word);
    else
        snprintf(hint, sizeof hint, "`capsule --help` lists the commands");
    output_error(message, hint);
    return EXIT_USAGE;
}

int command_refuse(const struct error *err) {
    output_error(err->message, err->hint);
    return EXIT_USAGE;
}

static int refuse_missing(const struct command *self) {
    struct error err;
    error_set(&err, ERROR_INVALID, "%s needs %s", self->name, self->operands);
    error_hint(&err, "`capsule %s --help` shows how it is called%s", self->name,
               strncmp(self->operands, "RUN", 3) == 0 ? "; `capsule ps` lists the runs" : "");
    return command_refuse(&err);
}

int command_read(const struct command *self, int argc, char **argv, const char **values,
                 struct operands *operands) {
    struct error err;
    struct option_reader reader = {
        .options = self->options, .options_n = self->options_n, .argv = argv, .argc = argc, .command = self->name};
    for (;;) {
        const char *value = NULL;
        int got = option_next(&reader, &value, &err);
        if (got == OPTION_END)
            break;
        if (got == OPTION_HELP)
            return help_command(self);
        if (got == OPTION_OPERAND && operands->n == operands->max)
            got = option_refuse_operand(&reader, value, &err);
        if (got == OPTION_BAD)
            return command_refuse(&err);
        if (got == OPTION_OPERAND)
            operands->words[operands->n++] = value;
        else
            values[got] = value != NULL && self->options[got].value != NULL ? value : "";
    }
    return operands->n >= operands->min ? COMMAND_GO_ON : refuse_missing(self);
}

int command_read_flags(const struct command *self, int argc, char **argv, bool *seen) {
    const char *values[COMMAND_FLAGS_MAX] = {0};
    struct operands none = {0};
    const int rc = command_read(self, argc, argv, values, &none);
    for (size_t i = 0; i < self->options_n && i < COMMAND_FLAGS_MAX; i++)
        seen[i] = values[i] != NULL;
    return rc;
}

/* Options of the program itself, before any command. */
static int refuse_option(const char *word) {
    static const char *const known[] = {"--help", "--version", "-h", "-V"};
    const char *nearest = suggest_nearest(word, known, sizeof known / sizeof known[0]);
    char message[256], hint[256];
    snprintf(message, sizeof message, "unknown option %.100s", word);
    if (nearest != NULL)
        snprintf(hint, sizeof hint, "did you mean %s? Options of a command come after its name", nearest);
    else
        snprintf(hint, sizeof hint, "options of a command come after its name: capsule run FILE %.100s", word);
    output_error(message, hint);
    return EXIT_USAGE;
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        output_error("no command", "`capsule --help` lists the commands; `capsule run FILE` runs a program");
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help_program();
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return command_version.main(&command_version, 0, NULL);
    if (word[0] == '-')
        return refuse_option(word);

    int used = 0;
    const struct command *command = command_find(argc - 1, argv + 1, &used);
    if (command != NULL)
        return command->main(command, argc - 1 - used, argv + 1 + used);
    if (strcmp(word, "cache") == 0)
        return help_cache(argc - 2, argv + 2);
    return command_unknown(word);
}

int main(int argc, char **argv) {
    output_init();
    return output_finish(dispatch(argc, argv));
}
