/* Everything that the program prints goes through here: whole lines in one write, no buffering, failures
 * remembered.
 *
 * Standard output that can't be written is never silent: the first failure is kept and decides the exit code. A
 * reader that went away (EPIPE) is no error: the program stops and ends as SIGPIPE would have ended it. Thread
 * rule: one call at a time, on any thread; a run's events come one by one while the thread that waits for it prints
 * nothing. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/buffer.h"
#include <stdbool.h>
#include <stddef.h>

enum { OUTPUT_LINE_MAX = 1 << 20, OUTPUT_TEXT_MAX = 256 << 20 };

/* First thing in main: gives closed standard descriptors something harmless, and makes EPIPE an error code. */
void output_init(void);

/* Writes all of it. 0, or -1 when fd failed now or before. */
int output_write(int fd, const void *bytes, size_t n);
int output_printf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True once writing to standard output failed. */
bool output_failed(void);

/* Last thing in main: closes standard output and reports what got lost. Returns code, or EXIT_USAGE when output
 * was lost; doesn't return when the reader went away. */
int output_finish(int code);

/* fd is a terminal that a person reads (TERM isn't "dumb"), so that progress makes sense. */
bool output_is_terminal(int fd);

enum style { STYLE_PLAIN, STYLE_RED, STYLE_GREEN, STYLE_YELLOW, STYLE_CYAN, STYLE_DIM, STYLE_BOLD };
/* Turns colours off for good; they're on where fd is a terminal and $NO_COLOR isn't set. */
void output_no_color(void);
/* The escape sequence for a style on fd, or "". STYLE_PLAIN ends one. */
const char *style(int fd, enum style s);

/* Appends text from a guest, made safe for a terminal: control characters become \xNN. Newlines and tabs stay
 * unless one_line. */
void output_escape(struct buffer *to, const char *text, bool one_line);

/* On standard error: "error: MESSAGE", then "hint: HINT" unless that is NULL or empty. */
void output_error(const char *message, const char *hint);

/* "1.2 ms", "16.3 MB". Return buf. */
const char *format_duration(char *buf, size_t n, unsigned long long ns);
const char *format_bytes(char *buf, size_t n, unsigned long long bytes);

#endif
