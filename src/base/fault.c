/* Owns the counting of fault points. Empty unless CAPSULE_FAULTS is defined.
 *
 * The state is process-wide because what it simulates (a full disk, no memory) is too. Thread rule: any thread. */
#include "base/fault.h"

#ifdef CAPSULE_FAULTS

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_CODE = 99 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool read; /* the environment was read */
    bool armed;
    char name[64]; /* "": any point */
    unsigned long at, visits, named_visits;
    bool exits;
    const char *hit; /* the point that failed */
} faults;

/* CAPSULE_FAULT_AT=N or CAPSULE_FAULT=NAME:N. Anything malformed is ignored: only tests set them. */
static void read_environment(void) {
    faults.read = true;
    const char *at = getenv("CAPSULE_FAULT_AT"), *named = getenv("CAPSULE_FAULT");
    const char *colon = named ? strrchr(named, ':') : NULL;
    if (colon && (size_t)(colon - named) < sizeof faults.name) {
        memcpy(faults.name, named, (size_t)(colon - named));
        at = colon + 1;
    }
    faults.at = at ? strtoul(at, NULL, 10) : 0;
    faults.armed = faults.at > 0;
    faults.exits = getenv("CAPSULE_FAULT_EXIT") != NULL;
}

bool fault_hit(const char *name) {
    pthread_mutex_lock(&lock);
    if (!faults.read)
        read_environment();
    faults.visits++;
    bool counts = faults.name[0] == '\0' || strcmp(faults.name, name) == 0;
    if (counts)
        faults.named_visits++;
    bool hit = faults.armed && counts && faults.named_visits == faults.at;
    if (hit && faults.exits)
        _exit(EXIT_CODE);
    if (hit)
        faults.hit = name;
    pthread_mutex_unlock(&lock);
    return hit;
}

void fault_arm(unsigned long at) {
    pthread_mutex_lock(&lock);
    faults.read = true;
    faults.armed = at > 0;
    faults.name[0] = '\0';
    faults.at = at;
    faults.visits = faults.named_visits = 0;
    faults.hit = NULL;
    pthread_mutex_unlock(&lock);
}

const char *fault_name(void) {
    pthread_mutex_lock(&lock);
    const char *name = faults.hit ? faults.hit : "";
    pthread_mutex_unlock(&lock);
    return name;
}

unsigned long fault_visits(void) {
    pthread_mutex_lock(&lock);
    unsigned long n = faults.visits;
    pthread_mutex_unlock(&lock);
    return n;
}

#else

typedef int fault_points_are_compiled_out;

#endif
