/* Owns the process that esbuild runs in: its arguments, its environment, its limits and its end.
 *
 * Everything it writes goes to memory files that belong to us: no temporary names, and no pipe that could fill up. They are its descriptors 0 (the
 * metafile; read, it's empty), 1 (the code) and 2 (messages), which npm's launcher of esbuild passes on, and opened by their names in /dev/fd. Between vfork and
 * exec the child shares our memory and calls only what a signal handler may. That's done by hand because posix_spawn can't say that the child is to
 * die with us (PR_SET_PDEATHSIG) nor what it may write (RLIMIT_FSIZE). It leads a process group, so that what npm's launcher starts is
 * killed too. Thread rule: any thread; the thread that calls waits. */
#define _GNU_SOURCE 1
#include "app/bundle_internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, ENVIRONMENT_MAX = 64 * 1024, ASK_EVERY_MS = 50, EXEC_FAILED = 127 };
/* An import of /dev/zero would take all there is. */
#define MEMORY_MAX (UINT64_C(2) << 30)
#define TIMEOUT_DEFAULT_NS (60 * NS_PER_S)

/* QuickJS-ng parses all of es2024 (class fields, static blocks, top-level await, the v flag of regular expressions). Newer syntax (decorators,
 * `using`) is rewritten. Naming a condition drops esbuild's own "module", so it's named too. */
static const char *const OPTIONS[] = {
    "--bundle",
    "--format=esm",
    "--platform=browser",
    "--target=es2024",
    "--conditions=capsule,module",
    "--external:" BUNDLE_SDK,
    "--external:" BUNDLE_SDK "/*",
    "--define:process.env.NODE_ENV=\"production\"",
    "--define:global=globalThis", /* as older packages have it */
    "--keep-names",
    "--charset=utf8",
    "--legal-comments=none",
    "--sourcemap=inline",
    "--sources-content=false",
    "--log-level=error",
    "--log-limit=0",
    "--color=false",
    "--outfile=/dev/fd/1",
    "--metafile=/dev/fd/0",
};

struct process {
    const char *program, *folder;
    char *const *arguments, *const *environment;
    int metafile, code, messages; /* its descriptors 0, 1 and 2 */
    sigset_t signals;             /* the mask that the program is to have */
    pid_t parent;
};

/* ---- the child ---- */

/* Descriptors that are to become 0 to 2 may be among those numbers: they go out of the way first. */
static bool place_descriptors(const struct process *p) {
    const int from[] = {p->metafile, p->code, p->messages};
    int above[3];
    for (int i = 0; i < 3; i++) {
        above[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3);
        if (above[i] < 0)
            return false;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(above[i], i) < 0)
            return false;
    return true;
}

static void default_signals(void) {
    for (int number = 1; number < NSIG; number++) {
        struct sigaction old;
        if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN && old.sa_handler != SIG_DFL)
            sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    }
}

__attribute__((noreturn, noinline)) static void be_child(const struct process *p) {
    const struct rlimit size = {BUNDLE_OUTPUT_MAX, BUNDLE_OUTPUT_MAX}, none = {0, 0},
                        memory = {MEMORY_MAX, MEMORY_MAX};
    default_signals();
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == p->parent &&
        setrlimit(RLIMIT_FSIZE, &size) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 &&
        setrlimit(RLIMIT_DATA, &memory) == 0 && chdir(p->folder) == 0 && place_descriptors(p) &&
        sigprocmask(SIG_SETMASK, &p->signals, NULL) == 0)
        execve(p->program, p->arguments, p->environment);
    _exit(EXEC_FAILED);
}

/* No handler of ours may run in a child that shares our memory: signals wait until it has its own. */
static pid_t start(struct process *p) {
    sigset_t all;
    sigfillset(&all);
    p->parent = getpid();
    if (FAULT("bundle.vfork") || pthread_sigmask(SIG_SETMASK, &all, &p->signals) != 0)
        return -1;
    pid_t child = vfork();
    if (child == 0)
        be_child(p);
    pthread_sigmask(SIG_SETMASK, &p->signals, NULL);
    return child;
}

/* ---- waiting ---- */

enum ending { ENDED, TIMED_OUT, INTERRUPTED, LOST };

static enum ending wait_for_end(const struct bundle_options *o, pid_t child) {
    uint64_t limit = o->timeout_ns ? o->timeout_ns : TIMEOUT_DEFAULT_NS, began = clock_monotonic_ns();
    CLEANUP(cleanup_close)
    int fd = FAULT("bundle.pidfd") ? -1 : (int)syscall(SYS_pidfd_open, child, 0);
    if (fd < 0)
        return LOST;
    for (;;) {
        uint64_t passed = clock_monotonic_ns() - began;
        if (passed >= limit)
            return TIMED_OUT;
        uint64_t ms = (limit - passed) / NS_PER_MS + 1;
        if (o->interrupted && ms > ASK_EVERY_MS)
            ms = ASK_EVERY_MS;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, ms > INT32_MAX ? INT32_MAX : (int)ms);
        if (ready > 0)
            return ENDED;
        if (ready < 0 && errno != EINTR)
            return LOST;
        if (o->interrupted && o->interrupted(o->user))
            return INTERRUPTED;
    }
}

static int reap(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static int end(const struct bundle_options *o, pid_t child, int *ret_status, struct error *err) {
    enum ending ending = wait_for_end(o, child);
    if (ending != ENDED)
        kill(-child, SIGKILL);
    *ret_status = reap(child);
    uint64_t ms = (o->timeout_ns ? o->timeout_ns : TIMEOUT_DEFAULT_NS) / NS_PER_MS;
    switch (ending) {
    case TIMED_OUT:
        return error_set(err, ERROR_IMPORT, "bundling %s took longer than %.3g seconds", o->project->entry,
                         (double)ms / 1000);
    case INTERRUPTED:
        return error_set(err, ERROR_CANCELLED, "interrupted while %s was bundled", o->project->entry);
    case LOST:
        return error_set(err, ERROR_IO, "can't wait for esbuild");
    default:
        return 0;
    }
}

/* ---- what it gets ---- */

/* "PATH=…" of the good folders alone. */
static int write_path(struct buffer *to) {
    const char *path = getenv("PATH"), *separator = "";
    int status = buffer_puts(to, "PATH=");
    while (status == 0 && path && *path) {
        size_t n = strcspn(path, ":");
        if (bundle_path_entry_good(path, n)) {
            status = buffer_printf(to, "%s%.*s", separator, (int)n, path);
            separator = ":";
        }
        path += n + (path[n] == ':');
    }
    return status;
}

static int memory_file(const char *name, int *ret, struct error *err) {
    *ret = FAULT("bundle.memfd") ? -1 : memfd_create(name, MFD_CLOEXEC);
    return *ret < 0 ? error_errno(err, ERROR_IO, errno, "can't make a memory file for esbuild") : 0;
}

static int open_files(struct process *p, struct error *err) {
    int status = memory_file("capsule-messages", &p->messages, err);
    if (status == 0)
        status = memory_file("capsule-bundle", &p->code, err);
    return status ? status : memory_file("capsule-metafile", &p->metafile, err);
}

static void process_done(struct process *p) {
    cleanup_close(&p->messages);
    cleanup_close(&p->code);
    cleanup_close(&p->metafile);
}

/* From the start of the file; what's beyond the buffer's maximum is an error, or cut off. */
static int read_back(int fd, bool cut, struct buffer *to, struct error *err) {
    int status = lseek(fd, 0, SEEK_SET) < 0 ? ERROR_IO : file_read(fd, to);
    if (status == 0 || (status == ERROR_LIMIT && cut))
        return 0;
    return status == ERROR_LIMIT ? error_set(err, status, "the bundle is larger than %zu MiB", to->max >> 20)
                                 : error_set(err, status, "can't read what esbuild wrote");
}

static bool is_full(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size >= BUNDLE_OUTPUT_MAX;
}

/* Ends that leave nothing to read. */
static int check_end(const struct bundle_options *o, const struct process *p, int ended, bool silent,
                     struct error *err) {
    if (is_full(p->code) || is_full(p->metafile) || is_full(p->messages))
        return error_set(err, ERROR_LIMIT, "the bundle of %s is larger than %d MiB", o->project->entry,
                         BUNDLE_OUTPUT_MAX >> 20);
    if (WIFSIGNALED(ended))
        return error_set(err, ERROR_IMPORT, "esbuild (%s) was killed by signal %d while it bundled %s", o->esbuild,
                         WTERMSIG(ended), o->project->entry);
    if (!silent || WEXITSTATUS(ended) == 0)
        return 0;
    if (WEXITSTATUS(ended) != EXEC_FAILED)
        return error_set(err, ERROR_IMPORT, "esbuild (%s) ended with exit code %d and said nothing", o->esbuild,
                         WEXITSTATUS(ended));
    error_set(err, ERROR_UNSUPPORTED, "esbuild (%s) can't be run", o->esbuild);
    error_hint(err, "install it (npm install -g esbuild), or set CAPSULE_ESBUILD to the path of its program");
    return ERROR_UNSUPPORTED;
}

static int run(const struct bundle_options *o, struct process *p, struct bundle_output *ret, struct error *err) {
    int ended = 0;
    pid_t child = start(p);
    if (child < 0)
        return error_errno(err, ERROR_IO, errno, "can't start a process for esbuild");
    int status = end(o, child, &ended, err);
    if (status == 0)
        status = read_back(p->messages, true, &ret->messages, err);
    if (status == 0)
        status = check_end(o, p, ended, ret->messages.size == 0, err);
    ret->good = ended == 0;
    if (status == 0)
        status = read_back(p->metafile, false, &ret->metafile, err);
    return status ? status : read_back(p->code, false, &ret->code, err);
}

int bundle_run(const struct bundle_options *o, struct bundle_output *ret, struct error *err) {
    CLEANUP(process_done)
    struct process p = {
        .program = o->esbuild, .folder = o->project->root, .messages = -1, .code = -1, .metafile = -1};
    CLEANUP(buffer_done) struct buffer path = BUFFER_INIT(ENVIRONMENT_MAX), entry = BUFFER_INIT(PATH_LENGTH_MAX);
    CLEANUP(bundle_output_done)
    struct bundle_output output = {.code = BUFFER_INIT(BUNDLE_OUTPUT_MAX),
                                   .metafile = BUFFER_INIT(BUNDLE_OUTPUT_MAX),
                                   .messages = BUFFER_INIT(BUNDLE_MESSAGES_MAX)};
    char home[PATH_LENGTH_MAX];
    const char *arguments[ARGUMENTS_MAX] = {"esbuild"};
    size_t n = sizeof OPTIONS / sizeof OPTIONS[0];
    _Static_assert(sizeof OPTIONS / sizeof OPTIONS[0] + 3 <= ARGUMENTS_MAX, "there's room for the arguments");
    /* "./" keeps an entry from being taken for an option. */
    int status = buffer_printf(&entry, "./%s", o->project->entry);
    if (status == 0)
        status = write_path(&path);
    if (status)
        return error_set(err, status, "the PATH or the name of %s is too long", o->project->entry);
    memcpy(arguments + 1, OPTIONS, sizeof OPTIONS);
    arguments[n + 1] = entry.data;
    const char *home_value = getenv("HOME");
    int length = snprintf(home, sizeof home, "HOME=%s", home_value ? home_value : "/");
    const char *environment[] = {path.data, length < (int)sizeof home ? home : "HOME=/", NULL};
    p.arguments = (char *const *)(uintptr_t)arguments;
    p.environment = (char *const *)(uintptr_t)environment;
    status = open_files(&p, err);
    if (status == 0)
        status = run(o, &p, &output, err);
    if (status)
        return status;
    *ret = output;
    output = (struct bundle_output){0};
    return 0;
}

void bundle_output_done(struct bundle_output *output) {
    buffer_done(&output->code);
    buffer_done(&output->metafile);
    buffer_done(&output->messages);
}
