/* What is shown of a run that is executed here: output of the tasks as it is written, lifecycle lines, the outcome.
 *
 * Thread rule: report_event is called by one thread of the run's at a time, everything else before or after capsule_run_wait by the thread that
 * waits. The run orders these calls, so nothing here locks. */
#ifndef CLI_RUN_REPORT_H
#define CLI_RUN_REPORT_H

#include <capsule.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPORT_INTERRUPTED_MAX = 10, REPORT_NAME_MAX = 64, REPORT_MESSAGE_MAX = 300 /* bytes in one line */ };

struct interrupted_task {
    uint32_t id;
    uint64_t duration;
    char name[REPORT_NAME_MAX];
};

struct report {
    bool json, verbose;
    const char *file;                        /* as given; NULL: the manifest's entrypoint */
    const char *journal_dir;                 /* where it's recorded; NULL: it isn't */
    capsule_run *run;                        /* to cancel when nobody reads the output any more */
    uint64_t began;                          /* time of the first event */
    uint64_t ended[CAPSULE_INTERRUPTED + 1]; /* tasks, by the state that they ended in */
    /* Tasks that a signal ended; the first few by name. */
    struct interrupted_task interrupted[REPORT_INTERRUPTED_MAX];
    size_t interrupted_n;
};

/* A capsule_event_callback; user is a struct report. */
void report_event(void *user, const capsule_event *event);

/* Prints the outcome of a run that ended in state; returns the exit code. */
int report_outcome(struct report *report, capsule_run *run, capsule_state state);

/* Prints an error that came before any task had an outcome; returns the exit code. */
int report_failure(const struct report *report, const capsule_error *error);

#endif
