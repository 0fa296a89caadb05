/* Runs a program's entry task from C:
 *
 *     embed examples/hello/hello.py '["C"]'
 *
 * prints each step in the life of its tasks on standard error and the result, as JSON, on standard output. */
#include <capsule.h>
#include <inttypes.h>
#include <stdio.h>

static void on_event(void *user, const capsule_event *event) {
    uint64_t *began = user; /* time of the first event */
    if (*began == 0)
        *began = event->time;
    if (event->kind == CAPSULE_EVENT_OUTPUT)
        fwrite(event->bytes, 1, event->bytes_n, stderr);
    else if (event->kind == CAPSULE_EVENT_STATE)
        fprintf(stderr, "%6.2f ms  task %" PRIu32 " (%s) is %s\n", (double)(event->time - *began) / 1e6,
                event->task_id, event->task_name, capsule_state_name(event->state));
}

static int complain(const capsule_error *error) {
    fprintf(stderr, "error: %s\n%s%s", error->message, error->hint, error->hint[0] != '\0' ? "\n" : "");
    return 2;
}

/* Returns an exit code: 0 completed, 1 the task failed, 2 it couldn't be run. */
static int run_once(capsule_app *app, const char *args_json) {
    capsule_error error;
    capsule_run *run;
    uint64_t began = 0;
    const capsule_run_options options = {.args_json = args_json, .on_event = on_event, .user = &began};
    if (capsule_run_new(app, &options, &run, &error) != CAPSULE_OK)
        return complain(&error);

    int code = 1;
    const int state = capsule_run_wait(run, &error);
    if (state < 0)
        code = complain(&error);
    else if (state == CAPSULE_COMPLETED)
        code = printf("%s\n", capsule_run_result(run)) < 0 ? 2 : 0;
    else
        fprintf(stderr, "%s: %s\n", capsule_run_error_type(run), capsule_run_error_message(run));
    capsule_run_free(run);
    return code;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s FILE [JSON-ARRAY]\n", argv[0]);
        return 2;
    }
    capsule_error error;
    capsule_runtime *runtime;
    if (capsule_open(NULL, &runtime, &error) != CAPSULE_OK)
        return complain(&error);

    int code;
    capsule_app *app;
    if (capsule_app_open(runtime, argv[1], NULL, &app, &error) != CAPSULE_OK) {
        code = complain(&error);
    } else {
        code = run_once(app, argc == 3 ? argv[2] : NULL);
        capsule_app_close(app);
    }
    capsule_close(runtime);
    return code;
}
