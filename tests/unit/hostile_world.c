#include "hostile_world.h"
#include "sandbox/operation.h"
#include "unit.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct hostile hostile;

static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE};
static struct sigaction on_trap[COUNT(trap_signals)]; /* the engine's handlers */

static void read_file(const char *path, uint8_t **ret, size_t *ret_n) {
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    *ret = malloc((size_t)st.st_size + 1);
    assert_int_equal(read(fd, *ret, (size_t)st.st_size), st.st_size);
    *ret_n = (size_t)st.st_size;
    close(fd);
}

void hostile_check(int r, const struct error *err) {
    if (r != 0)
        fail_msg("%s", err->message);
}

static void load_module(const char *core) {
    struct error err;
    uint8_t *wasm;
    size_t n;
    char path[64];
    read_file(core, &wasm, &n);
    int fd = memfd_create("hostile", 0);
    hostile_check(engine_compile(hostile.engine, wasm, n, fd, &err), &err);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    hostile_check(engine_load(hostile.engine, path, &hostile.module, &err), &err);
    close(fd);
    free(wasm);
}

void hostile_open(const char *core, const char *memory) {
    struct error err;
    hostile_check(engine_open(64, &hostile.engine, &err), &err);
    for (size_t i = 0; i < COUNT(trap_signals); i++)
        sigaction(trap_signals[i], NULL, &on_trap[i]);
    load_module(core);
    uint8_t *bytes;
    size_t n;
    read_file(memory, &bytes, &n);
    int fd = memfd_create("image", 0);
    assert_int_equal(ftruncate(fd, (off_t)hostile.module.memory_size), 0);
    assert_int_equal(pwrite(fd, bytes, n, 0), n);
    free(bytes);
    hostile_check(image_open(fd, (struct image_info){.size = hostile.module.memory_size}, &hostile.image, &err),
                  &err);
    hostile.slots = SLOT_POOL_INIT(engine_slots(hostile.engine));
}

void hostile_close(void) {
    slot_pool_trim(&hostile.slots, NULL);
    image_release(hostile.image);
    engine_unload(&hostile.module);
    engine_close(hostile.engine);
}

struct sandbox_options hostile_options(uint64_t fuel, uint64_t ram) {
    for (size_t i = 0; i < COUNT(trap_signals); i++)
        sigaction(trap_signals[i], &on_trap[i], NULL);
    return (struct sandbox_options){.engine = hostile.engine,
                                    .module = &hostile.module,
                                    .image = hostile.image,
                                    .slots = &hostile.slots,
                                    .fuel = fuel,
                                    .ram = ram,
                                    .wasi = {.limits = wasi_limits_default()}};
}

void hostile_begin(struct sandbox *sb, const struct order *orders, size_t n) {
    struct error err;
    hostile_check(sandbox_begin_message(sb, "attack", "{}", 2, (const char *)orders, n * sizeof *orders, &err),
                  &err);
}

enum sandbox_state hostile_run(struct sandbox *sb) {
    enum sandbox_state state;
    while ((state = sandbox_poll(sb)) == SANDBOX_RUNNABLE)
        continue;
    return state;
}

void hostile_complete(struct sandbox *sb, uint64_t op, const char *body, size_t body_n) {
    size_t n;
    char *message = message_new("{}", 2, body, body_n, &n);
    assert_non_null(message);
    sandbox_complete(sb, (uint32_t)op, message, n);
}
