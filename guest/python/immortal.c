/* Objects of an image that are never counted.
 *
 * A sandbox pays for each page that it writes to, and counting references writes to every object that is used. Python
 * leaves the count of an immortal object alone (PEP 683), so all objects of an image are made immortal before it is taken.
 * What it means: they are never freed, a weak reference to one never dies, `__del__` of one never runs.
 *
 * The collector's lists know containers only; strings, numbers, code and untracked tuples are found through them. */
#include "immortal.h"
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>

static int mark(PyObject *object, void *unused);

static void mark_code(PyCodeObject *code) {
    PyObject *const parts[] = {
        code->co_consts,          code->co_names,    code->co_exceptiontable, code->co_localsplusnames,
        code->co_localspluskinds, code->co_filename, code->co_name,           code->co_qualname,
        code->co_linetable,
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i])
            mark(parts[i], NULL);
}

static void mark_parts(PyObject *object) {
    if (PyCode_Check(object))
        mark_code((PyCodeObject *)object);
    else if (Py_TYPE(object)->tp_traverse)
        Py_TYPE(object)->tp_traverse(object, mark, NULL);
}

static int mark(PyObject *object, void *unused) {
    (void)unused;
    if (_Py_IsImmortal(object))
        return 0;
    object->ob_refcnt = _Py_IMMORTAL_REFCNT;
    /* A tracked container is in the list itself, or was in an earlier one. */
    if (PyCode_Check(object) || !PyObject_IS_GC(object) || !PyObject_GC_IsTracked(object))
        mark_parts(object);
    return 0;
}

void immortal_mark(PyObject *list) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *object = PyList_GET_ITEM(list, i);
        if (!_Py_IsImmortal(object))
            object->ob_refcnt = _Py_IMMORTAL_REFCNT;
        mark_parts(object);
    }
}
