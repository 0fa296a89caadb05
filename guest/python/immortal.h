/* Objects of an image that are never counted. */
#ifndef GUEST_PYTHON_IMMORTAL_H
#define GUEST_PYTHON_IMMORTAL_H

struct _object;

/* Makes the objects of a list (as gc.get_objects() gives it) and all they refer to immortal. */
void immortal_mark(struct _object *list);

#endif
