/* What the measuring programs share: a clock, arguments that are numbers, samples as a JSON array on standard output. */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

_Noreturn static inline void fail(const char *what, const char *why) {
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static inline int number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || end == text || value < 1 || value > 1000000)
        fail(text, "isn't a number from 1 to 1,000,000");
    return (int)value;
}

static inline void print_samples(const double *samples, int n) {
    for (int i = 0; i < n; i++)
        printf("%s%.6f", i == 0 ? "[" : ", ", samples[i]);
    puts("]");
}

#endif
