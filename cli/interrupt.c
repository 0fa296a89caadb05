/* See interrupt.h. */
#include "interrupt.h"
#include "command.h"
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* What a signal handler needs can only be reached by name. */
static _Atomic(capsule_run *) current_run;
static atomic_int signals_seen;
/* Handlers that may be using current_run at this moment; they run on any thread. */
static atomic_int handlers_inside;

/* What the second signal prints; complete before there is a run. */
static char last_words[PATH_MAX + 512];
static size_t last_words_n;

static void end_at_once(const char *message, size_t n) {
    ssize_t ignored = write(STDERR_FILENO, message, n);
    (void)ignored;
    _exit(EXIT_INTERRUPTED);
}

static void on_signal(int number) {
    static const char while_loading[] = "\ninterrupted before the run began\n", twice[] = "\nended at once\n";
    atomic_fetch_add(&handlers_inside, 1);
    capsule_run *run = atomic_load(&current_run);
    if (atomic_fetch_add(&signals_seen, 1) > 0 && run != NULL)
        end_at_once(last_words, last_words_n);
    else if (atomic_load(&signals_seen) > 1)
        end_at_once(twice, sizeof twice - 1);
    else if (run == NULL)
        end_at_once(while_loading, sizeof while_loading - 1);
    else if (number == SIGINT)
        capsule_run_cancel(run);
    else
        capsule_run_leave(run);
    atomic_fetch_sub(&handlers_inside, 1);
}

void interrupt_install(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction old, action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

void interrupt_set_run(capsule_run *run, const char *resume) {
    if (run != NULL) {
        const int n = snprintf(last_words, sizeof last_words, "\nended at once%s%s\n",
                               resume != NULL ? "; to go on with the run: capsule resume " : "",
                               resume != NULL ? resume : "");
        last_words_n = n < (int)sizeof last_words ? (size_t)n : sizeof last_words - 1;
    }
    atomic_store(&current_run, run);
    /* The old run may be freed as soon as this returns. */
    while (atomic_load(&handlers_inside) > 0)
        sched_yield();
}

bool interrupt_happened(void) {
    return atomic_load(&signals_seen) > 0;
}
