/* New seeds for random.Random objects. */
#ifndef GUEST_PYTHON_RESEED_H
#define GUEST_PYTHON_RESEED_H

struct _object;

/* reseed(generators): fills the state of each one in a list of random.Random objects from the host's randomness. */
struct _object *reseed(struct _object *list);

#endif
