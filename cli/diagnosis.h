/* What this installation can do, as a document. */
#ifndef CLI_DIAGNOSIS_H
#define CLI_DIAGNOSIS_H

#include "base/json.h"
#include <capsule.h>

/* Opens a runtime, asks it (see capsule_diagnose), closes it. Give back with json_free. */
int diagnosis_make(struct json_document **ret, capsule_error *error);

#endif
