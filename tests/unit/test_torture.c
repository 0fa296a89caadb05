/* Every fallible call of the host fails once: opening a runtime, loading a program (from a warm cache and anew), running parallel tasks with a file, cancelling one, an HTTP request. Each
 * time the library must say so or work around it, leak nothing (the address sanitizer looks), leave no descriptor open, and work again afterwards. */
#include "base/fault.h"
#include "capsule.h"
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after its prerequisites */
#include <cmocka.h>

/* The address sanitizer's build runs this; under the thread sanitizer it would take minutes and find nothing more. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITHOUT_TORTURE
#endif
#endif

#if defined(CAPSULE_FAULTS) && !defined(WITHOUT_TORTURE)

enum { POINTS_MAX = 3000 };

static const char program[] = "import time\n"
                              "from capsule import http, task\n"
                              "@task\n"
                              "def sleeper():\n"
                              "    time.sleep(60)\n"
                              "@task(allowed_files=['./data'])\n"
                              "def child(n):\n"
                              "    open(f'data/{n}', 'w').write(str(n))\n"
                              "    return int(open(f'data/{n}').read())\n"
                              "@task(max_retries=0)\n"
                              "def main():\n"
                              "    print('hello')\n"
                              "    later = sleeper.start()\n"
                              "    numbers = list(child.map([1, 2]))\n"
                              "    later.cancel()\n"
                              "    try:\n"
                              "        http.get('http://127.0.0.1:1/')\n"
                              "    except http.NotAllowed:\n"
                              "        return numbers\n";

static char dir[64], file[96];

static int set_up(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/capsule-torture-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/data", dir);
    char command[256];
    snprintf(command, sizeof command, "mkdir -p %s", file);
    assert_int_equal(system(command), 0);
    snprintf(file, sizeof file, "%s/app.py", dir);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(program, f);
    fclose(f);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* 0 if everything worked, else an error code or state that says what didn't. */
static int whole_life(int no_cache) {
    capsule_error error = {0};
    capsule_runtime *runtime = NULL;
    capsule_app *app = NULL;
    capsule_run *run = NULL;
    capsule_app_options options = {.no_cache = no_cache};
    int r = capsule_open(NULL, &runtime, &error);
    if (r == 0)
        r = capsule_app_open(runtime, file, &options, &app, &error);
    if (r == 0)
        r = capsule_run_new(app, NULL, &run, &error);
    if (r == 0) {
        r = capsule_run_wait(run, &error);
        if (r == CAPSULE_COMPLETED) {
            assert_string_equal(capsule_run_result(run), "[1,2]");
            r = 0;
        } else if (r > 0) {
            assert_non_null(capsule_run_error_type(run));
            assert_non_null(strstr(capsule_run_envelope(run), "\"success\":false"));
        }
    }
    if (r < 0 && error.message[0] == '\0')
        fail_msg("no message after %s failed: %d", fault_name(), r);
    capsule_run_free(run);
    capsule_app_close(app);
    capsule_close(runtime);
    return r;
}

static void torture(int no_cache) {
    fault_arm(0);
    assert_int_equal(whole_life(no_cache), 0);
    int descriptors = open_descriptors(), failures = 0;
    unsigned long at = 1;
    for (; at < POINTS_MAX; at++) {
        fault_arm(at);
        int r = whole_life(no_cache);
        unsigned long visits = fault_visits();
        if (open_descriptors() != descriptors)
            fail_msg("%d descriptors instead of %d after %s failed (%lu)", open_descriptors(), descriptors,
                     fault_name(), at);
        fault_arm(0);
        failures += r != 0;
        if (visits < at) /* no point was left to fail */
            break;
        if (at % 16 == 0)
            assert_int_equal(whole_life(no_cache), 0);
    }
    assert_true(at > 20 && at < POINTS_MAX);
    assert_true(failures > 0);
    assert_int_equal(whole_life(no_cache), 0);
}

static void test_warm(void **state) {
    (void)state;
    torture(0);
}

static void test_import(void **state) {
    (void)state;
    torture(1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warm),
        cmocka_unit_test(test_import),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

#else

static void test_needs_fault_points(void **state) {
    (void)state;
    skip(); /* the address sanitizer's build has them */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_needs_fault_points)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
