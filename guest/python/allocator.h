/* The nursery (common/nursery.h) in front of Python's allocators. */
#ifndef GUEST_PYTHON_ALLOCATOR_H
#define GUEST_PYTHON_ALLOCATOR_H

/* Before the interpreter starts. As long as the nursery is closed everything passes through. */
void allocator_install(void);

#endif
