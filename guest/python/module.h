/* The built-in module `_capsule`: host operations for Python. */
#ifndef GUEST_PYTHON_MODULE_H
#define GUEST_PYTHON_MODULE_H

struct _object;
struct _object *module_init(void);

#endif
