/* UTF-8 as RFC 3629 has it: shortest forms, no surrogates, at most U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the character that text[0..n) begins with, or 0 if it's malformed or cut off. */
size_t utf8_step(const char *text, size_t n);
bool utf8_valid(const char *text, size_t n);
/* The largest length <= limit at which text[0..n) can be cut without splitting a character. limit <= n. */
size_t utf8_cut(const char *text, size_t n, size_t limit);
/* The smallest offset >= from, from <= n, at which a character begins (or n). */
size_t utf8_next_start(const char *text, size_t n, size_t from);

#endif
