/* SIGINT, SIGTERM and SIGHUP while a program is loaded and run.
 *
 * Before there is a run, and at the second signal, the process ends at once. Else SIGINT, a person's Ctrl-C, cancels the run; SIGTERM and
 * SIGHUP, by which a process is stopped from outside, leave a recorded run to be resumed. The waiting thread then goes on as usual. A signal that was ignored when we started stays ignored (nohup,
 * `&`). */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <capsule.h>
#include <stdbool.h>

void interrupt_install(void);
/* The run to cancel; NULL before it is freed. resume: what follows `capsule resume ` if the process is made to end at once and the run is on record; NULL if
 * it isn't. */
void interrupt_set_run(capsule_run *run, const char *resume);
/* True once a signal arrived. */
bool interrupt_happened(void);

#endif
