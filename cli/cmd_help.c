/* `capsule help`, and --help of every command: texts laid out from the tables. */
#include "command.h"
#include "output.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HELP_MAX = 1 << 16, COLUMN_COMMAND = 16, COLUMN_OPTION = 30 };

static int print(const struct buffer *b) {
    output_write(STDOUT_FILENO, buffer_text(b), b->size);
    return EXIT_OK;
}

/* Columns that text takes; multibyte characters here are one column wide. */
static int width(const char *text) {
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* Lines after the first are indented to the column. */
static void put_indented(struct buffer *b, const char *text, int column) {
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        buffer_printf(b, "%.*s\n%*s", (int)(end - text), text, column, "");
    buffer_printf(b, "%s\n", text);
}

static void put_option(struct buffer *b, const struct option *option) {
    char left[80], letter[8] = "    ";
    if (option->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
    const int padding = COLUMN_OPTION - width(left);
    if (padding >= 2)
        buffer_printf(b, "%s%*s", left, padding, "");
    else
        buffer_printf(b, "%s\n%*s", left, COLUMN_OPTION, "");
    put_indented(b, option->help, COLUMN_OPTION);
}

static void put_usage(struct buffer *b, const struct command *command) {
    buffer_printf(b, "usage: capsule %s%s%s%s\n", command->name, command->options_n > 0 ? " [OPTION…]" : "",
                  command->operands[0] != '\0' ? " " : "", command->operands);
}

int help_command(const struct command *command) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(HELP_MAX);
    put_usage(&b, command);
    buffer_printf(&b, "\n%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
    if (command->details != NULL)
        buffer_printf(&b, "\n%s", command->details);
    buffer_puts(&b, "\nOptions:\n");
    for (size_t i = 0; i < command->options_n; i++)
        put_option(&b, &command->options[i]);
    put_option(&b, &(struct option){"help", NULL, "print this", 'h'});
    return print(&b);
}

int help_program(void) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(HELP_MAX);
    buffer_puts(&b, "usage: capsule COMMAND [OPTION…] [ARGUMENT…]\n\n"
                    "Runs Python and TypeScript programs; each task gets a WebAssembly sandbox of its own.\n\n"
                    "Commands:\n");
    for (size_t i = 0; commands[i] != NULL; i++)
        buffer_printf(&b, "  %-*s%s\n", COLUMN_COMMAND, commands[i]->name, commands[i]->summary);
    buffer_puts(&b, "\nOptions:\n");
    put_option(&b, &(struct option){"help", NULL, "print this; after a command, its own help", 'h'});
    put_option(&b, &(struct option){"version", NULL, "print the version", 'V'});
    buffer_puts(&b, "\nEnvironment:\n"
                    "  CAPSULE_CACHE    folder of the cache (else $XDG_CACHE_HOME/capsule, ~/.cache/capsule)\n"
                    "  CAPSULE_ESBUILD  program that bundles TypeScript (else that of lib/capsule, or of PATH)\n"
                    "  CAPSULE_GUESTS   folder of the interpreters (else lib/capsule beside the program)\n"
                    "  NO_COLOR         if set and not empty, nothing is coloured\n");
    return print(&b);
}

int help_cache(int argc, char **argv) {
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
        return help_command(&command_cache_prune);
    char message[160];
    if (argc > 0)
        snprintf(message, sizeof message, "unknown command 'cache %.100s'", argv[0]);
    output_error(argc > 0 ? message : "cache needs a command", "did you mean `capsule cache prune`?");
    return EXIT_USAGE;
}

static int help_main(const struct command *self, int argc, char **argv) {
    if (argc == 0)
        return help_program();
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
        return help_command(self);
    int used = 0;
    const struct command *command = command_find(argc, argv, &used);
    if (command != NULL)
        return help_command(command);
    if (strcmp(argv[0], "cache") == 0)
        return help_command(&command_cache_prune);
    return command_unknown(argv[0]);
}

const struct command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "describe a command, or list them all",
    .main = help_main,
};
