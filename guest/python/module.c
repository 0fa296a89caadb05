/* `_capsule`: the functions that sdk/python/capsule/_host.py describes. Refusals of the host become exceptions whose
 * text a user understands. */
#define PY_SSIZE_T_CLEAN
#include "module.h"
#include "abi.h"
#include "host.h"
#include "immortal.h"
#include "message.h"
#include "reseed.h"
#include <Python.h>
#include <stdbool.h>

enum { WAIT_FEW = 8, NEXT_MAX = 512, TAKE_FIRST = 4096 };

/* Which exception it is; its text is the same for all guests. */
static PyObject *exception_for(int32_t code) {
    switch (code) {
    case GUEST_E_PENDING:
        return PyExc_BlockingIOError;
    case GUEST_E_NO_SUCH_OP:
        return PyExc_LookupError;
    case GUEST_E_BAD_MESSAGE:
        return PyExc_ValueError;
    case GUEST_E_TOO_MANY:
    case GUEST_E_FORBIDDEN:
        return PyExc_RuntimeError;
    default:
        return PyExc_OSError;
    }
}

static PyObject *refused(int32_t code) {
    PyErr_SetString(exception_for(code), host_refusal(code));
    return NULL;
}

static bool wrong_count(const char *name, Py_ssize_t nargs) {
    if (nargs != 2)
        PyErr_Format(PyExc_TypeError, "%s() takes 2 arguments", name);
    return nargs != 2;
}

static PyObject *py_submit(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    char *header, *body;
    Py_ssize_t header_n, body_n;
    if (wrong_count("submit", nargs) || PyBytes_AsStringAndSize(args[0], &header, &header_n) ||
        PyBytes_AsStringAndSize(args[1], &body, &body_n))
        return NULL;
    if (header_n > GUEST_HEADER_MAX || body_n > GUEST_MESSAGE_MAX - 4 - header_n)
        return refused(GUEST_E_BAD_MESSAGE);
    uint32_t n = (uint32_t)(4 + header_n + body_n);
    uint8_t *message = PyMem_Malloc(n);
    if (!message)
        return PyErr_NoMemory();
    message_write(message, header, (size_t)header_n, body, (size_t)body_n);
    int32_t op = op_submit(message, n);
    PyMem_Free(message);
    return op < 0 ? refused(op) : PyLong_FromLong(op);
}

static int read_ops(PyObject *sequence, Py_ssize_t n, uint32_t *ops) {
    for (Py_ssize_t i = 0; i < n; i++) {
        unsigned long op = PyLong_AsUnsignedLong(PySequence_Fast_GET_ITEM(sequence, i));
        if (op == (unsigned long)-1 && PyErr_Occurred())
            return -1;
        ops[i] = (uint32_t)op;
    }
    return 0;
}

static PyObject *wait_for(PyObject *sequence, Py_ssize_t n, int64_t timeout_ns) {
    uint32_t few[WAIT_FEW];
    uint32_t *ops = n <= WAIT_FEW ? few : PyMem_New(uint32_t, (size_t)n);
    if (!ops)
        return PyErr_NoMemory();
    int32_t i = 0;
    int failed = read_ops(sequence, n, ops);
    if (!failed)
        i = op_wait(ops, (uint32_t)n, timeout_ns);
    if (ops != few)
        PyMem_Free(ops);
    if (failed)
        return NULL;
    return i < 0 && i != GUEST_E_TIMEOUT ? refused(i) : PyLong_FromLong(i);
}

static PyObject *py_wait(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
    (void)self;
    if (wrong_count("wait", nargs))
        return NULL;
    long long timeout_ns = PyLong_AsLongLong(args[1]);
    if (timeout_ns == -1 && PyErr_Occurred())
        return NULL;
    PyObject *sequence = PySequence_Fast(args[0], "wait() takes a sequence of operations");
    if (!sequence)
        return NULL;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(sequence);
    PyObject *index = n > GUEST_OPS_MAX ? refused(GUEST_E_TOO_MANY) : wait_for(sequence, n, timeout_ns);
    Py_DECREF(sequence);
    return index;
}

static PyObject *list_of(const uint32_t *ids, int32_t n) {
    PyObject *list = PyList_New(n);
    for (int32_t i = 0; list && i < n; i++) {
        PyObject *id = PyLong_FromUnsignedLong(ids[i]);
        if (!id)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, id);
    }
    return list;
}

static PyObject *py_next(PyObject *self, PyObject *arg) {
    (void)self;
    long long timeout_ns = PyLong_AsLongLong(arg);
    if (timeout_ns == -1 && PyErr_Occurred())
        return NULL;
    uint32_t ids[NEXT_MAX];
    int32_t n = op_next(ids, NEXT_MAX, timeout_ns);
    return n < 0 && n != GUEST_E_TIMEOUT ? refused(n) : list_of(ids, n < 0 ? 0 : n);
}

static PyObject *py_cancel(PyObject *self, PyObject *arg) {
    (void)self;
    unsigned long op = PyLong_AsUnsignedLong(arg);
    if (op == (unsigned long)-1 && PyErr_Occurred())
        return NULL;
    int32_t r = op_cancel((uint32_t)op);
    if (r < 0)
        return refused(r);
    Py_RETURN_NONE;
}

static PyObject *py_fuel_left(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return PyLong_FromLongLong(fuel_left());
}

static PyObject *py_take(PyObject *self, PyObject *arg) {
    (void)self;
    unsigned long op = PyLong_AsUnsignedLong(arg);
    if (op == (unsigned long)-1 && PyErr_Occurred())
        return NULL;
    uint8_t first[TAKE_FIRST];
    int32_t n = op_take((uint32_t)op, first, sizeof first);
    if (n < 0)
        return refused(n);
    if ((size_t)n <= sizeof first)
        return PyBytes_FromStringAndSize((char *)first, n);
    PyObject *reply = PyBytes_FromStringAndSize(NULL, n);
    if (!reply)
        return NULL;
    int32_t again = op_take((uint32_t)op, (uint8_t *)PyBytes_AS_STRING(reply), (uint32_t)n);
    if (again == n)
        return reply;
    Py_DECREF(reply);
    return refused(again);
}

static PyObject *py_reseed(PyObject *self, PyObject *list) {
    (void)self;
    return reseed(list);
}

static PyObject *py_immortalise(PyObject *self, PyObject *list) {
    (void)self;
    if (!PyList_Check(list))
        return PyErr_Format(PyExc_TypeError, "immortalise() takes a list");
    immortal_mark(list);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"reseed", py_reseed, METH_O, "reseed(generators)\n\nSeed random.Random objects from the host's randomness."},
    {"immortalise", py_immortalise, METH_O,
     "immortalise(objects)\n\nStop counting references to them and their parts."},
    {"submit", (PyCFunction)(void (*)(void))py_submit, METH_FASTCALL,
     "submit(header, body) -> op\n\nStart a host operation."},
    {"wait", (PyCFunction)(void (*)(void))py_wait, METH_FASTCALL,
     "wait(ops, timeout_ns) -> index\n\nPark until one is done; -1: timeout."},
    {"next", py_next, METH_O,
     "next(timeout_ns) -> list\n\nPark until operations are done that it hasn't told of; []: timeout."},
    {"cancel", py_cancel, METH_O, "cancel(op)\n\nAsk the host to end an operation soon."},
    {"fuel_left", py_fuel_left, METH_NOARGS, "fuel_left() -> int\n\nWhat this attempt may still use."},
    {"take", py_take, METH_O, "take(op) -> bytes\n\nFetch the reply and free the operation."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_capsule", "Host operations of a Capsule sandbox.", 0, methods, NULL, NULL, NULL, NULL,
};

PyObject *module_init(void) {
    return PyModule_Create(&definition);
}
