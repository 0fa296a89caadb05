/* Fuzzes the replay of tapes: any bytes as a tape, and any calls as the guest that is to be brought to its end; then the same calls on what was recorded.
 *
 * The input is the number of calls, the calls, 11 bytes each, and the tape. Nothing may be read beyond the tape's end or written outside of the guest's memory,
 * and while the tape isn't at its end nothing on the host may change. What is recorded must be replayed without a divergence. */
#include "base/buffer.h"
#include "guest/abi.h"
#include "sandbox/replay.h"
#include "sandbox/wasi_tape.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MEMORY = 4096, WORDS_AT = 2048, WORD_SIZE = 16, CALL_SIZE = 11, CALLS_MAX = 24 };

static const char *const words[] = {"/rw/f", "/rw",     "/rw/d",   "/ro/f",  "/ro",
                                    "/",     "/rw/new", "/rw/d/n", "rw/./f", "/one"};

static struct {
    char folder[32];
    struct mount mounts[3];
} world;

/* One run of the calls. */
struct run {
    struct tape tape;
    struct wasi *wasi;
    struct operation_table operations;
    uint8_t *memory;
};

static const char *host(const char *name) {
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", world.folder, name);
    return path;
}

static void make_file(const char *name) {
    FILE *f = fopen(host(name), "w");
    if (f == NULL || fputs("content", f) < 0)
        abort();
    fclose(f);
}

static int open_folder(const char *name) {
    mkdir(host(name), 0700);
    return open(host(name), O_PATH | O_DIRECTORY);
}

static void clean_up(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", world.folder);
    if (system(command) != 0)
        perror(world.folder);
}

static void set_up(void) {
    snprintf(world.folder, sizeof world.folder, "%s/capsule-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(world.folder) == NULL)
        abort();
    atexit(clean_up);
    world.mounts[0] =
        (struct mount){.guest = "/rw", .host_fd = open_folder("rw"), .kind = MOUNT_FOLDER, .writable = true};
    world.mounts[1] =
        (struct mount){.guest = "/ro", .host_fd = open_folder("ro"), .kind = MOUNT_FOLDER, .constant = true};
    world.mounts[2] = (struct mount){
        .guest = "/one", .host_fd = world.mounts[0].host_fd, .name = "f", .kind = MOUNT_FILE, .writable = true};
    close(open_folder("rw/d"));
    make_file("ro/f");
}

/* As the calls may have left it, and as it was. */
static void reset_files(void) {
    static const char *const made[] = {"rw/new", "rw/d/n", "rw/d/f"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        unlink(host(made[i]));
        rmdir(host(made[i]));
    }
    rmdir(host("rw/f"));
    unlink(host("rw/d"));
    mkdir(host("rw/d"), 0700);
    make_file("rw/f");
}

/* What tells that something was written or made. */
static uint64_t state_of_files(void) {
    static const char *const names[] = {"rw", "rw/f", "rw/d", "rw/new"};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stat st = {0};
        if (stat(host(names[i]), &st) == 0)
            sum = sum * 31 + (uint64_t)st.st_size + st.st_ino + st.st_nlink + (uint64_t)st.st_mtim.tv_nsec;
    }
    return sum;
}

static void begin(struct run *r, const char *tape, size_t n) {
    tape_init(&r->tape, tape, n);
    operations_init(&r->operations);
    r->memory = calloc(1, MEMORY);
    struct wasi_options options = {
        .mounts = world.mounts, .n_mounts = 3, .limits = wasi_limits_default(), .tape = &r->tape};
    options.limits.written = options.limits.file_size = 1 << 18;
    if (r->memory == NULL || wasi_new(&options, &r->wasi, NULL) != 0)
        abort();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        memcpy(r->memory + WORDS_AT + i * WORD_SIZE, words[i], strlen(words[i]));
}

static void end(struct run *r) {
    wasi_free(r->wasi);
    tape_done(&r->tape);
    operations_done(&r->operations);
    free(r->memory);
}

static uint64_t argument_of(uint8_t b) {
    static const uint64_t edges[] = {UINT32_MAX, UINT64_MAX, MEMORY, MEMORY - 4, INT64_MAX, 1 << 16};
    if (b < 128)
        return b;
    if (b < 192)
        return WORDS_AT + (uint64_t)(b - 128) * WORD_SIZE;
    return b < 250 ? (uint64_t)(b - 192) * 24 : edges[b - 250];
}

static int32_t op_of(uint8_t b) {
    return (1 << 14 | (b & 3)) + 1;
}

static int32_t submit(struct run *r, const uint8_t *c) {
    int32_t refused = 0, id = operations_open(&r->operations);
    if (id > 0 && taped_submit(&r->tape, (const char *)c, 4, &refused))
        return refused;
    if (c[5] % 4 == 0) {
        record_refused(&r->tape, GUEST_E_TOO_MANY);
        return GUEST_E_TOO_MANY;
    }
    operations_complete(&r->operations, (uint32_t)id, NULL, 0);
    return id;
}

/* Waiting, taking and asking for fuel, as sandbox.c does it. */
static int32_t operate(struct run *r, const uint8_t *c) {
    struct tape *t = &r->tape;
    uint32_t ids[2] = {(uint32_t)op_of(c[2]), (uint32_t)op_of(c[3])};
    const char *reply;
    size_t n;
    int32_t result;
    switch (c[1] % 5) {
    case 0:
        return submit(r, c);
    case 1:
        if (tape_replays(t))
            return replay_waited(t, &r->operations, ids, 2);
        result = operations_first_done(&r->operations, ids, 2);
        record_waited(t, result);
        return result;
    case 2:
        if (tape_replays(t))
            return replay_told(t, &r->operations, ids, 2);
        result = (int32_t)operations_tell(&r->operations, ids, 2);
        record_told(t, ids, result);
        return result > 0 ? result : GUEST_E_TIMEOUT;
    case 3:
        return taped_take(t, ids[0], operations_reply(&r->operations, ids[0], &reply, &n));
    default:
        return (int32_t)taped_fuel(t, c[2]);
    }
}

/* A number that is the same whenever the guest sees the same. */
static uint64_t make_call(struct run *r, const uint8_t *c) {
    uint64_t args[16], hash = 0;
    for (size_t a = 0; a < CALL_SIZE - 1; a++)
        args[a] = argument_of(c[a + 1]);
    bool replays = tape_replays(&r->tape);
    uint64_t before = replays ? state_of_files() : 0;
    if (c[0] >= 192) {
        hash = (uint64_t)operate(r, c);
    } else {
        struct wasi_call call = {.wasi = r->wasi, .memory = {.base = r->memory, .size = MEMORY}, .args = args};
        hash = wasi_taped_call(&call, &wasi_functions[c[0] % wasi_functions_n]);
    }
    if (replays && state_of_files() != before)
        abort();
    for (size_t i = 0; i < MEMORY; i++)
        hash = hash * 31 + r->memory[i];
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (world.folder[0] == '\0')
        set_up();
    size_t calls = n > 0 ? data[0] % (CALLS_MAX + 1) : 0;
    if (n < 1 + calls * CALL_SIZE)
        return 0;
    const uint8_t *call = data + 1;
    size_t tape_n = n - 1 - calls * CALL_SIZE;
    uint64_t seen[CALLS_MAX];
    struct buffer kept = BUFFER_INIT(TAPE_MAX);
    CLEANUP(cleanup_free) char *tape = malloc(tape_n + 1); /* exactly as long, but for the empty one */
    memcpy(tape, data + 1 + calls * CALL_SIZE, tape_n);
    reset_files();
    struct run first;
    begin(&first, tape, tape_n);
    for (size_t i = 0; i < calls; i++)
        seen[i] = make_call(&first, call + i * CALL_SIZE);
    bool sound = first.tape.trouble == NULL && !tape_replays(&first.tape) && tape_n == 0;
    (void)tape_take(&first.tape, &kept);
    end(&first);
    struct run second;
    if (sound)
        begin(&second, kept.data, kept.size);
    for (size_t i = 0; sound && i < calls; i++) {
        if (make_call(&second, call + i * CALL_SIZE) != seen[i] || second.tape.trouble != NULL)
            abort();
    }
    if (sound)
        end(&second);
    buffer_done(&kept);
    return 0;
}
