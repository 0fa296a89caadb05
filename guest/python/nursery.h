/* Where a sandbox's small new objects live. */
#ifndef GUEST_PYTHON_NURSERY_H
#define GUEST_PYTHON_NURSERY_H

/* Puts the nursery in front of Python's allocator; it is closed: everything passes through. Before the interpreter starts. */
void nursery_install(void);

/* From now on small objects are made in the nursery. When an image is complete; opening it again changes nothing. */
void nursery_open(void);

#endif
