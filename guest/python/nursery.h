/* Where a sandbox's small new objects live. */
#ifndef GUEST_PYTHON_NURSERY_H
#define GUEST_PYTHON_NURSERY_H

#include <stdbool.h>

/* Puts the nursery in front of Python's allocator; it is closed: everything passes through. Before the interpreter starts. */
void nursery_install(void);

/* From now on small objects are made in the nursery. When an image is complete. */
void nursery_open(void);

/* From now on they aren't, until it's opened anew. Those that are there stay. */
void nursery_close(void);

#endif
