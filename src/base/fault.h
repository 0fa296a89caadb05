/* Named places where a test can make the host fail. Compiled in only with CAPSULE_FAULTS; otherwise FAULT(…) is 0.
 *
 * `if (FAULT("slot.map")) …` counts the visits of all points in the process and is true once, at the visit that
 * CAPSULE_FAULT_AT=N (the N-th visit of any point) or CAPSULE_FAULT=NAME:N names. With CAPSULE_FAULT_EXIT=1 the process ends there instead, at once and
 * without a trace, as if it had been killed. Thread-safe. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

#ifdef CAPSULE_FAULTS
#define FAULT(name) fault_hit(name)
bool fault_hit(const char *name);
void fault_arm(unsigned long at); /* 0 disarms; restarts the count */
unsigned long fault_visits(void); /* since fault_arm */
const char *fault_name(void);     /* of the point that failed since fault_arm; "" if none */
#else
#define FAULT(name) false
#endif

#endif
