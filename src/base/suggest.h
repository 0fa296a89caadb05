/* The nearest known word, for "did you mean". */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include <stddef.h>

/* The candidate at the smallest edit distance (Damerau-Levenshtein, optimal string alignment), if that is at most a
 * third of the word's length rounded up; else NULL. candidates: n strings. */
const char *suggest_nearest(const char *word, const char *const *candidates, size_t n);

#endif
