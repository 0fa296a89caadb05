/* Where a sandbox's small new objects live.
 *
 * A sandbox pays for each page of its image that it writes to. An interpreter's own allocator would put new objects into holes all over
 * the image: forty pages for a call that does nothing. So once an image is complete, small objects come from one stretch of
 * untouched memory instead, the first ones side by side whatever their size. A block that is freed goes to the list of its size and is the next
 * to be used. When the stretch is used up, the interpreter's allocator goes on as if it had never been: what a long task can waste by sizes
 * that don't fit each other is bounded by the stretch.
 *
 * Blocks are aligned to 8 bytes. Thread rule: none, there is one thread. */
#ifndef GUEST_COMMON_NURSERY_H
#define GUEST_COMMON_NURSERY_H

#include <stdbool.h>
#include <stddef.h>

enum { NURSERY_MAX = 1 << 20 };

/* Until then it's closed: every block comes from elsewhere. n, at most NURSERY_MAX: bytes of the stretch. When an image is complete; opening it again
 * changes nothing. */
void nursery_open(size_t n);

/* Whether there may be room; false again when the stretch is used up. */
extern bool nursery_is_open;

/* A block for n bytes, or NULL if that's too large or the nursery is full or closed. */
void *nursery_take(size_t n);
bool nursery_owns(const void *p);
/* Of a block that it owns: how many bytes fit. */
size_t nursery_room(const void *p);
void nursery_give_back(void *p);

#endif
