/* Files and output of `capsule:native`, through WASI: what a task may reach is decided by the host. */
#include "engine.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    int number;
    const char *name, *text;
} errors[] = {
    {ENOENT, "ENOENT", "no such file or folder"},
    {EACCES, "EACCES", "permission denied"},
    {EPERM, "EPERM", "not permitted"},
    {EROFS, "EROFS", "read-only"},
    {EEXIST, "EEXIST", "it exists already"},
    {ENOTDIR, "ENOTDIR", "not a folder"},
    {EISDIR, "EISDIR", "a folder"},
    {ENOSPC, "ENOSPC", "no space left"},
    {EDQUOT, "EDQUOT", "over the quota"},
    {EFBIG, "EFBIG", "too large"},
    {EMFILE, "EMFILE", "too many open files"},
    {ENAMETOOLONG, "ENAMETOOLONG", "the name is too long"},
    {ELOOP, "ELOOP", "too many symlinks"},
    {EINVAL, "EINVAL", "invalid"},
    {ENOTCAPABLE, "EACCES", "permission denied"},
};

/* Throws an Error with `code`, `path` and `syscall`, as Node's have them. */
static JSValue throw_errno(JSContext *js, const char *call, const char *path) {
    int number = errno;
    const char *name = "EIO", *text = strerror(number);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].number == number) {
            name = errors[i].name;
            text = errors[i].text;
        }
    JSValue error = JS_NewPlainError(js, "%s: %s, %s '%s'", name, text, call, path);
    if (JS_IsException(error))
        return error;
    JS_DefinePropertyValueStr(js, error, "code", JS_NewString(js, name), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(js, error, "syscall", JS_NewString(js, call), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(js, error, "path", JS_NewString(js, path), JS_PROP_C_W_E);
    return JS_Throw(js, error);
}

/* Relative paths begin at the project's folder, which needn't be there as a folder. */
static const char PROJECT[] = "/project/";

/* An absolute path without NUL bytes, malloc'd; NULL: an exception is pending. */
static char *path_of(JSContext *js, JSValueConst value) {
    size_t n;
    const char *given = JS_ToCStringLen(js, &n, value);
    if (!given)
        return NULL;
    bool whole = strlen(given) == n;
    const char *before = given[0] == '/' ? "" : PROJECT;
    char *path = whole ? malloc(strlen(before) + n + 1) : NULL;
    if (path)
        stpcpy(stpcpy(path, before), given);
    else if (whole)
        JS_ThrowOutOfMemory(js);
    else
        JS_ThrowTypeError(js, "a path can't contain a NUL character");
    JS_FreeCString(js, given);
    return path;
}

struct content {
    uint8_t *bytes;
    size_t n, capacity;
};

/* Reads to the end; a file's size is only a first guess. Returns 0 or an errno. */
static int read_all(int fd, struct content *to) {
    struct stat st;
    to->capacity = fstat(fd, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size + 1 : 4096;
    for (;;) {
        uint8_t *larger = !to->bytes || to->n == to->capacity
                              ? realloc(to->bytes, to->bytes ? to->capacity *= 2 : to->capacity)
                              : to->bytes;
        if (!larger)
            return ENOMEM;
        to->bytes = larger;
        ssize_t got = read(fd, to->bytes + to->n, to->capacity - to->n);
        if (got < 0)
            return errno;
        if (got == 0)
            return 0;
        to->n += (size_t)got;
    }
}

static JSValue read_file(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    struct content content = {0};
    char *path = path_of(js, argv[0]);
    if (!path)
        return JS_EXCEPTION;
    int fd = open(path, O_RDONLY);
    int failed = fd < 0 ? errno : read_all(fd, &content);
    if (fd >= 0)
        close(fd);
    errno = failed;
    JSValue result = failed == ENOMEM ? JS_ThrowOutOfMemory(js)
                     : failed         ? throw_errno(js, "open", path)
                                      : JS_NewUint8ArrayCopy(js, content.bytes, content.n);
    free(content.bytes);
    free(path);
    return result;
}

static bool write_all(int fd, const uint8_t *bytes, size_t n) {
    while (n > 0) {
        ssize_t put = write(fd, bytes, n);
        if (put < 0)
            return false;
        bytes += put;
        n -= (size_t)put;
    }
    return true;
}

static JSValue write_file(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    size_t n;
    const uint8_t *bytes = JS_GetUint8Array(js, &n, argv[1]);
    if (!bytes && JS_HasException(js))
        return JS_EXCEPTION;
    char *path = path_of(js, argv[0]);
    if (!path)
        return JS_EXCEPTION;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    bool ok = fd >= 0 && write_all(fd, bytes, n);
    int failed = errno;
    if (fd >= 0 && close(fd) && ok) {
        ok = false;
        failed = errno;
    }
    errno = failed;
    JSValue result = ok ? JS_UNDEFINED : throw_errno(js, "write", path);
    free(path);
    return result;
}

static JSValue names_of(JSContext *js, DIR *folder) {
    JSValue names = JS_NewArray(js);
    uint32_t n = 0;
    for (struct dirent *entry; !JS_IsException(names) && (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (JS_SetPropertyUint32(js, names, n++, JS_NewString(js, entry->d_name)) < 0) {
            JS_FreeValue(js, names);
            names = JS_EXCEPTION;
        }
    }
    return names;
}

static JSValue list_folder(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    char *path = path_of(js, argv[0]);
    if (!path)
        return JS_EXCEPTION;
    DIR *folder = opendir(path);
    JSValue names = folder ? names_of(js, folder) : throw_errno(js, "scandir", path);
    if (folder)
        closedir(folder);
    free(path);
    return names;
}

static JSValue file_exists(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    struct stat st;
    char *path = path_of(js, argv[0]);
    if (!path)
        return JS_EXCEPTION;
    bool exists = stat(path, &st) == 0;
    free(path);
    return JS_NewBool(js, exists);
}

/* write(stream, text): what the host no longer takes is lost, as with a closed pipe. */
static JSValue write_text(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    int32_t stream;
    size_t n;
    if (JS_ToInt32(js, &stream, argv[0]))
        return JS_EXCEPTION;
    const char *text = JS_ToCStringLen(js, &n, argv[1]);
    if (!text)
        return JS_EXCEPTION;
    (void)write_all(stream == 2 ? STDERR_FILENO : STDOUT_FILENO, (const uint8_t *)text, n);
    JS_FreeCString(js, text);
    return JS_UNDEFINED;
}

const JSCFunctionListEntry native_files[] = {
    JS_CFUNC_DEF("readFile", 1, read_file),     JS_CFUNC_DEF("writeFile", 2, write_file),
    JS_CFUNC_DEF("listFolder", 1, list_folder), JS_CFUNC_DEF("fileExists", 1, file_exists),
    JS_CFUNC_DEF("write", 2, write_text),
};
const int native_files_n = sizeof native_files / sizeof native_files[0];
