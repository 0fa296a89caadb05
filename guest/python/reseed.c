/* New seeds for random.Random objects.
 *
 * Random.seed() computes 624 words three times over, which is a tenth of a small sandbox's life. Here the words come from a quick
 * generator that is started with 128 random bits. The layout of _random.Random is CPython's own business: _guest.boot() checks
 * that what is written here is what getstate() reads. */
#include "reseed.h"
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

enum { WORDS = 624 };

struct generator {
    PyObject_HEAD int index;
    uint32_t state[WORDS];
};

struct seed {
    uint64_t a, b;
};

static uint64_t rotate(uint64_t x, int n) {
    return x << n | x >> (64 - n);
}

/* xoroshiro128+ */
static uint32_t next_word(struct seed *s) {
    uint64_t sum = s->a + s->b;
    uint64_t mixed = s->b ^ s->a;
    s->a = rotate(s->a, 24) ^ mixed ^ mixed << 16;
    s->b = rotate(mixed, 37);
    return (uint32_t)(sum >> 32);
}

static bool has_layout(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    while (type && type->tp_base && type->tp_base != &PyBaseObject_Type)
        type = type->tp_base;
    return type && type->tp_basicsize == sizeof(struct generator);
}

PyObject *reseed(PyObject *list) {
    struct seed seed;
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "reseed() takes a list");
        return NULL;
    }
    if (getentropy(&seed, sizeof seed))
        return PyErr_SetFromErrno(PyExc_OSError);
    seed.a |= 1; /* a generator of zeros would stay there */
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        struct generator *one = (struct generator *)PyList_GET_ITEM(list, i);
        if (!has_layout((PyObject *)one)) {
            PyErr_SetString(PyExc_TypeError, "not a random.Random object as this interpreter has them");
            return NULL;
        }
        for (int word = 0; word < WORDS; word++)
            one->state[word] = next_word(&seed);
        one->index = WORDS;
    }
    Py_RETURN_NONE;
}
