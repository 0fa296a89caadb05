/* Times as the journal tells them, and as a person reads them. */
#ifndef CLI_MOMENT_H
#define CLI_MOMENT_H

#include <stddef.h>
#include <stdint.h>

enum { MOMENT_MAX = 40 };

/* "2026-11-24T16:27:58.123456Z" → ns since 1970; 0 if it isn't one (NULL included). */
uint64_t moment_parse(const char *text);
uint64_t moment_now(void);

/* In the time zone of whoever reads: "2026-11-24 17:27:58"; "17:27:58" if it's a time of today. Return buf. */
const char *moment_format(char *buf, size_t n, uint64_t time);
const char *moment_format_short(char *buf, size_t n, uint64_t time, uint64_t now);
/* A span for a table: "1.2 ms", "12.3 s", "4 min 05 s", "3 h 12 min", "5 d 3 h". */
const char *moment_format_span(char *buf, size_t n, uint64_t ns);
/* A rough one: "now", "12 s", "4 min", "3 h", "5 d". */
const char *moment_format_age(char *buf, size_t n, uint64_t ns);

#endif
