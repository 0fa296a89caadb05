/* The Python guest: CPython behind the calls of guest/abi.h.
 *
 * Owns the interpreter and references to the three functions of the `capsule` package that do the work; everything that
 * can be Python is Python (sdk/python/capsule/_guest.py). guest_boot and guest_load run while an image is built,
 * guest_call once in every sandbox: it makes no copies it doesn't need and touches few pages.
 * Thread rule: one thread; there are no others in a sandbox. */
#include "abi.h"
#include "allocator.h"
#include "host.h"
#include "message.h"
#include "module.h"
#include "nursery.h"
#include <Python.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static PyObject *load_function, *call_function, *too_long_function, *not_unicode_function;

EXPORT(guest_alloc) void *guest_alloc(uint32_t n);
EXPORT(guest_boot) uint32_t guest_boot(void);
EXPORT(guest_load) uint64_t guest_load(uint8_t *message, uint32_t n);
EXPORT(guest_call) uint64_t guest_call(uint8_t *message, uint32_t n);

void *guest_alloc(uint32_t n) {
    return n > GUEST_MESSAGE_MAX ? NULL : message_alloc(n);
}

/* --- boot */

static PyStatus configure(PyConfig *config) {
    config->site_import = 0;
    config->write_bytecode = 0;
    config->install_signal_handlers = 0;
    config->buffered_stdio = 1;
    config->use_environment = 0;
    config->pathconfig_warnings = 0;
    config->module_search_paths_set = 1;
    PyStatus status = PyWideStringList_Append(&config->module_search_paths, L"/lib/python3.13");
    if (!PyStatus_Exception(status))
        status = PyWideStringList_Append(&config->module_search_paths, L"/lib/site");
    if (!PyStatus_Exception(status))
        status = PyConfig_SetString(config, &config->home, L"/");
    if (!PyStatus_Exception(status))
        status = PyConfig_SetString(config, &config->program_name, L"python3.13");
    return status;
}

static PyStatus start_interpreter(void) {
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        return status;
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    status = configure(&config);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

static int find_functions(void) {
    PyObject *guest = PyImport_ImportModule("capsule._guest");
    if (!guest)
        return -1;
    load_function = PyObject_GetAttrString(guest, "load");
    call_function = PyObject_GetAttrString(guest, "call");
    too_long_function = PyObject_GetAttrString(guest, "too_long");
    not_unicode_function = PyObject_GetAttrString(guest, "not_unicode");
    Py_DECREF(guest);
    return load_function && call_function && too_long_function && not_unicode_function ? 0 : -1;
}

static int boot_package(void) {
    PyObject *boot = PyImport_ImportModule("capsule._boot");
    PyObject *done = boot ? PyObject_CallMethod(boot, "boot", NULL) : NULL;
    Py_XDECREF(boot);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

uint32_t guest_boot(void) {
    allocator_install();
    if (PyImport_AppendInittab("_capsule", module_init))
        return 1;
    PyStatus status = start_interpreter();
    if (PyStatus_Exception(status)) {
        fprintf(stderr, "Python doesn't start: %s: %s\n", status.func ? status.func : "?",
                status.err_msg ? status.err_msg : "?");
        return 1;
    }
    if (boot_package() || find_functions()) {
        PyErr_Print();
        return 1;
    }
    return 0;
}

/* --- load and call */

/* A failure so deep that Python couldn't say it. */
static uint64_t last_resort(void) {
    bool memory = PyErr_ExceptionMatches(PyExc_MemoryError);
    PyErr_Clear();
    return memory ? message_out_of_memory() : message_broken();
}

/* (header, body) of two bytes objects; takes the reference. */
static uint64_t reply_pair(PyObject *pair) {
    char *header, *body;
    Py_ssize_t header_n, body_n;
    uint64_t reply = 0;
    if (pair && PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2 &&
        !PyBytes_AsStringAndSize(PyTuple_GET_ITEM(pair, 0), &header, &header_n) &&
        !PyBytes_AsStringAndSize(PyTuple_GET_ITEM(pair, 1), &body, &body_n)) {
        reply = message_pack(header, (size_t)header_n, body, (size_t)body_n);
        if (!reply)
            PyErr_NoMemory();
    }
    Py_XDECREF(pair);
    return reply ? reply : last_resort();
}

/* The result as JSON text, with the header that nearly all replies have; takes the reference. */
static uint64_t reply_text(PyObject *text) {
    Py_ssize_t n;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &n);
    if (!utf8) {
        Py_DECREF(text);
        if (!PyErr_ExceptionMatches(PyExc_UnicodeError))
            return last_resort();
        PyErr_Clear();
        return reply_pair(PyObject_CallNoArgs(not_unicode_function));
    }
    if ((size_t)n > GUEST_MESSAGE_MAX - GUEST_HEADER_MAX) {
        Py_DECREF(text);
        return reply_pair(PyObject_CallFunction(too_long_function, "n", n));
    }
    uint64_t reply = message_pack(MESSAGE_PLAIN, MESSAGE_PLAIN_N, utf8, (size_t)n);
    Py_DECREF(text);
    if (!reply)
        PyErr_NoMemory();
    return reply ? reply : last_resort();
}

uint64_t guest_load(uint8_t *message, uint32_t n) {
    struct message in;
    if (message_parse(message, n, &in))
        return message_not_a_message();
    PyObject *header = PyUnicode_DecodeUTF8(in.header, (Py_ssize_t)in.header_n, NULL);
    message_free(message);
    PyObject *reply = header ? PyObject_CallOneArg(load_function, header) : NULL;
    Py_XDECREF(header);
    if (!reply)
        return last_resort();
    char *text;
    Py_ssize_t text_n;
    nursery_open(NURSERY_MAX);
    uint64_t packed =
        PyBytes_AsStringAndSize(reply, &text, &text_n) ? 0 : message_pack(text, (size_t)text_n, NULL, 0);
    Py_DECREF(reply);
    return packed ? packed : last_resort();
}

uint64_t guest_call(uint8_t *message, uint32_t n) {
    struct message in;
    if (message_parse(message, n, &in))
        return message_not_a_message();
    PyObject *args[] = {
        PyUnicode_DecodeUTF8(in.header, (Py_ssize_t)in.header_n, NULL),
        PyUnicode_DecodeUTF8(in.body, (Py_ssize_t)in.body_n, NULL),
    };
    message_free(message);
    if (!args[0] || !args[1]) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeError))
            return last_resort();
        PyErr_Clear();
        return message_not_a_message();
    }
    PyObject *reply = PyObject_Vectorcall(call_function, args, 2, NULL);
    Py_DECREF(args[0]);
    Py_DECREF(args[1]);
    if (!reply)
        return last_resort();
    return PyUnicode_Check(reply) ? reply_text(reply) : reply_pair(reply);
}
