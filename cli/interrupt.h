/* SIGINT, SIGTERM and SIGHUP while a program is loaded and run.
 *
 * Before there is a run, and at the second signal, the process ends at once. Else the first one cancels the run,
 * whose waiting thread then goes on as usual. A signal that was ignored when we started stays ignored (nohup,
 * `&`). */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <capsule.h>
#include <stdbool.h>

void interrupt_install(void);
/* The run to cancel; NULL before it is freed. */
void interrupt_set_run(capsule_run *run);
/* True once a signal arrived. */
bool interrupt_happened(void);

#endif
