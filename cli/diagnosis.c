/* See diagnosis.h. */
#include "diagnosis.h"
#include "output.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void show_progress(void *user, const char *what) {
    (void)user;
    if (output_is_terminal(STDERR_FILENO))
        output_printf(STDERR_FILENO, "%s\n", what);
}

int diagnosis_make(struct json_document **ret, capsule_error *error) {
    capsule_runtime *runtime = NULL;
    const capsule_runtime_options options = {.on_progress = show_progress};
    int rc = capsule_open(&options, &runtime, error);
    if (rc != CAPSULE_OK)
        return rc;
    char *text = NULL;
    rc = capsule_diagnose(runtime, &text, error);
    capsule_close(runtime);
    if (rc != CAPSULE_OK)
        return rc;

    struct error err;
    rc = json_parse(text, strlen(text), ret, &err);
    capsule_free(text);
    if (rc == 0)
        return CAPSULE_OK;
    *error = (capsule_error){.code = CAPSULE_E_INTERNAL};
    snprintf(error->message, sizeof error->message, "the diagnosis can't be read: %.200s", err.message);
    return CAPSULE_E_INTERNAL;
}
