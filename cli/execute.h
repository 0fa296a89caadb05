/* Executing a run here, as run, resume, signal, cancel and fork do it: output as it's written, lifecycle lines, Ctrl-C, the outcome. */
#ifndef CLI_EXECUTE_H
#define CLI_EXECUTE_H

#include <capsule.h>
#include <stdbool.h>
#include <stdint.h>

struct execution {
    bool json, verbose, wait;
    bool taken_is_fine;     /* another process that executes it meanwhile is no error */
    bool cancel;            /* end it instead of going on; nothing is printed of an outcome then */
    unsigned jobs;          /* 0: as many as there are cores */
    uint64_t suspend_after; /* 0: as the library does */
    uint64_t timeout;       /* 0: none */
    /* A run on record: */
    const char *journal_dir, *run_id;
    /* Or, if these are NULL, a new one: */
    const char *file; /* as given; NULL: the manifest's entrypoint */
    const capsule_app_options *app;
    const capsule_run_options *run; /* its on_event, timeout and wait are ours */
};

/* Returns the exit code. *ret_state, which may be NULL: how the run ended, or a negative code if it didn't. */
int execute(const struct execution *e, int *ret_state);

#endif
