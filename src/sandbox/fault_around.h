/* Keeps the kernel from mapping pages that nobody asked for.
 *
 * A read of a page that isn't mapped yet maps fifteen neighbours as well ("fault-around"). A guest looks at few pages, far apart, and a slot is scanned after each
 * call: what's mapped without need costs both times. The kernel leaves neighbours alone where userfaultfd watches writes; nothing is ever
 * write-protected, so no event comes of it. Where userfaultfd isn't to be had (before Linux 6.7, or filtered by a container) all goes on as ever.
 * Thread-safe. */
#ifndef SANDBOX_FAULT_AROUND_H
#define SANDBOX_FAULT_AROUND_H

#include <stddef.h>

/* A descriptor for fault_around_stop, or -1 if this kernel can't. */
int fault_around_open(void);
/* For a whole private mapping, until it's mapped over. */
void fault_around_stop(int fd, void *start, size_t n);

#endif
