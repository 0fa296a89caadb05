/* Owns the grammar of single option values on top of base/units.h: what a task may have of each. Pure functions; any thread. */
#define _GNU_SOURCE 1
#include "app/policy.h"
#include "base/show.h"
#include "base/suggest.h"
#include "base/units.h"

#include <string.h>
#include <strings.h>

static int refuse_zero(const char *text, struct error *err) {
    return error_set(err, ERROR_INVALID, "'%s' isn't more than zero", show(text).text);
}

int parse_size(const char *text, uint64_t *ret_bytes, struct error *err) {
    uint64_t bytes;
    int status = units_size(text, &bytes, err);
    if (status)
        return status;
    if (bytes == 0)
        return refuse_zero(text, err);
    *ret_bytes = bytes;
    return 0;
}

int parse_duration(const char *text, uint64_t *ret_ns, struct error *err) {
    uint64_t ns;
    int status = units_duration(text, &ns, err);
    if (status)
        return status;
    if (ns == 0)
        return refuse_zero(text, err);
    if (ns > POLICY_TIMEOUT_MAX_NS)
        return error_set(err, ERROR_INVALID, "'%s' is more than the maximum, 365 days", show(text).text);
    *ret_ns = ns;
    return 0;
}

/* ERROR_NOT_FOUND if it isn't a number at all. */
static int read_fuel(const char *text, uint64_t *ret, struct error *err) {
    uint64_t fuel = 0;
    bool fits = true;
    if (!text[0] || text[strspn(text, "0123456789")] != '\0')
        return ERROR_NOT_FOUND;
    for (const char *p = text; *p; p++) {
        fits = fits && !__builtin_mul_overflow(fuel, 10, &fuel);
        fits = fits && !__builtin_add_overflow(fuel, (uint64_t)(*p - '0'), &fuel);
    }
    if (!fits || fuel > POLICY_FUEL_MAX)
        return error_set(err, ERROR_INVALID, "'%s' is more than the maximum, %llu", show(text).text,
                         (unsigned long long)POLICY_FUEL_MAX);
    if (fuel == 0)
        return refuse_zero(text, err);
    *ret = fuel;
    return 0;
}

int parse_compute(const char *text, uint64_t *ret_fuel, struct error *err) {
    static const char *const NAMES[] = {"LOW", "MEDIUM", "HIGH"};
    static const uint64_t FUEL[] = {POLICY_FUEL_LOW, POLICY_FUEL_MEDIUM, POLICY_FUEL_MAX};
    for (size_t i = 0; i < 3; i++)
        if (strcasecmp(text, NAMES[i]) == 0) {
            *ret_fuel = FUEL[i];
            return 0;
        }
    int status = read_fuel(text, ret_fuel, err);
    if (status != ERROR_NOT_FOUND)
        return status;
    const char *near = suggest_nearest(text, NAMES, 3);
    error_set(err, ERROR_INVALID, "'%s' isn't a compute level", show(text).text);
    if (near)
        error_hint(err, "did you mean \"%s\"?", near);
    else
        error_hint(err, "write \"LOW\", \"MEDIUM\", \"HIGH\" or an exact amount of fuel such as \"1000000\"");
    return ERROR_INVALID;
}
