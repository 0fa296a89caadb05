/* The arguments of the entry task, from the command line or a file, as the JSON that libcapsule takes. */
#ifndef CLI_RUN_ARGUMENTS_H
#define CLI_RUN_ARGUMENTS_H

#include "base/error.h"
#include <stddef.h>

enum { ARGUMENTS_MAX = 64 << 20 }; /* bytes; what a guest takes at most */

struct run_arguments {
    char *positional; /* a JSON array; NULL: none */
    char *keywords;   /* a JSON object; NULL: none */
};

/* Each word is JSON if it is valid JSON, else a string. */
int run_arguments_from_words(char *const *words, size_t n, struct run_arguments *ret, struct error *err);
/* A file (or "-": standard input) that holds a JSON array of positional or an object of keyword arguments. */
int run_arguments_from_file(const char *path, struct run_arguments *ret, struct error *err);
void run_arguments_done(struct run_arguments *a);

#endif
