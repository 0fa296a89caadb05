/* See output.h. */
#include "output.h"
#include "command.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The state of the process's own streams: global by nature. */
static int failed_errno[3];
static bool no_color;

void output_init(void) {
    /* With a standard descriptor closed, the next file opened would take its number, and a guest's output would go
     * into it. /dev/null the wrong way round makes writing fail instead. */
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        int got = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        if (got >= 0 && got != fd) {
            dup2(got, fd);
            close(got);
        }
    }
    signal(SIGPIPE, SIG_IGN);
}

/* Waits for room where somebody made the descriptor non-blocking. */
static bool wait_writable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

int output_write(int fd, const void *bytes, size_t n) {
    const char *at = bytes;
    if (failed_errno[fd] != 0)
        return -1;
    while (n > 0) {
        ssize_t written = write(fd, at, n);
        if (written >= 0) {
            at += written;
            n -= (size_t)written;
        } else if (errno == EAGAIN && wait_writable(fd)) {
            continue;
        } else if (errno != EINTR) {
            failed_errno[fd] = errno;
            return -1;
        }
    }
    return 0;
}

int output_printf(int fd, const char *format, ...) {
    char small[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof small)
        return output_write(fd, small, (size_t)n);

    char *large = NULL;
    va_start(args, format);
    n = vasprintf(&large, format, args);
    va_end(args);
    if (n < 0)
        return -1;
    int rc = output_write(fd, large, (size_t)n);
    free(large);
    return rc;
}

bool output_failed(void) {
    return failed_errno[STDOUT_FILENO] != 0;
}

int output_finish(int code) {
    /* Some file systems report a full disk only now. */
    if (close(STDOUT_FILENO) != 0 && failed_errno[STDOUT_FILENO] == 0 && errno != EINTR)
        failed_errno[STDOUT_FILENO] = errno;
    if (failed_errno[STDOUT_FILENO] == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (failed_errno[STDOUT_FILENO] != 0) {
        char message[128];
        snprintf(message, sizeof message, "can't write to standard output: %s",
                 strerror(failed_errno[STDOUT_FILENO]));
        output_error(message, NULL);
        return EXIT_USAGE;
    }
    /* Nobody can be told in words; the exit code still says that something got lost. */
    if (code == EXIT_OK && failed_errno[STDERR_FILENO] != 0 && failed_errno[STDERR_FILENO] != EPIPE)
        return EXIT_USAGE;
    return code;
}

bool output_is_terminal(int fd) {
    static signed char known[3]; /* 0: not asked yet */
    if (known[fd] == 0) {
        const char *term = getenv("TERM");
        known[fd] = isatty(fd) && !(term != NULL && strcmp(term, "dumb") == 0) ? 1 : -1;
    }
    return known[fd] > 0;
}

void output_no_color(void) {
    no_color = true;
}

const char *style(int fd, enum style s) {
    static const char *const sequences[] = {
        [STYLE_PLAIN] = "\033[0m",   [STYLE_RED] = "\033[31m",  [STYLE_GREEN] = "\033[32m",
        [STYLE_YELLOW] = "\033[33m", [STYLE_CYAN] = "\033[36m", [STYLE_DIM] = "\033[2m",
        [STYLE_BOLD] = "\033[1m",
    };
    if (no_color || !output_is_terminal(fd))
        return "";
    const char *off = getenv("NO_COLOR");
    return off != NULL && off[0] != '\0' ? "" : sequences[s];
}

void output_escape(struct buffer *to, const char *text, bool one_line) {
    const char *plain = text; /* start of what hasn't been copied yet */
    for (const char *p = text; *p != '\0'; p++) {
        const unsigned char c = (unsigned char)*p;
        /* C1 controls are 0xC2 0x80…0x9F in UTF-8, and some terminals obey them. */
        const bool c1 = c == 0xC2 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xA0;
        const bool kept = !one_line && (c == '\n' || c == '\t');
        if (!c1 && (kept || (c >= 0x20 && c != 0x7F)))
            continue;
        buffer_append(to, plain, (size_t)(p - plain));
        if (c1)
            p++;
        if (one_line && c == '\n')
            buffer_puts(to, " ⏎ ");
        else
            buffer_printf(to, "\\x%02x", (unsigned char)*p);
        plain = p + 1;
    }
    buffer_puts(to, plain);
}

void output_error(const char *message, const char *hint) {
    const int fd = STDERR_FILENO;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    buffer_printf(&b, "%serror:%s ", style(fd, STYLE_RED), style(fd, STYLE_PLAIN));
    output_escape(&b, message, false);
    buffer_putc(&b, '\n');
    if (hint != NULL && hint[0] != '\0') {
        buffer_printf(&b, "%shint:%s ", style(fd, STYLE_YELLOW), style(fd, STYLE_PLAIN));
        output_escape(&b, hint, false);
        buffer_putc(&b, '\n');
    }
    output_write(fd, buffer_text(&b), b.size);
}

const char *format_duration(char *buf, size_t n, unsigned long long ns) {
    const double ms = (double)ns / 1e6;
    if (ms < 1000)
        snprintf(buf, n, "%.1f ms", ms);
    else
        snprintf(buf, n, "%.2f s", ms / 1000);
    return buf;
}

const char *format_bytes(char *buf, size_t n, unsigned long long bytes) {
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    if (bytes < 1000) {
        snprintf(buf, n, "%llu B", bytes);
        return buf;
    }
    double value = (double)bytes / 1000;
    size_t unit = 0;
    for (; value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        value /= 1000;
    snprintf(buf, n, "%.1f %s", value, units[unit]);
    return buf;
}
