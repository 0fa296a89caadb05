/* Owns the grammar of single option values: sizes, durations, compute.
 *
 * All arithmetic is on integers, so "1.1GB" is 1,100,000,000 and nothing overflows unseen. Pure functions; any thread. */
#define _GNU_SOURCE 1
#include "app/policy.h"
#include "app/show.h"
#include "base/clock.h"
#include "base/suggest.h"

#include <string.h>
#include <strings.h>

/* A decimal number: whole + fraction / scale. */
struct amount {
    uint64_t whole, fraction, scale;
};

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit SIZE_UNITS[] = {
    {"", 1},
    {"B", 1},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
};

static const struct unit TIME_UNITS[] = {
    {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits, and digits after a point if there is one. Returns what follows, or NULL if there's no number; *ret_fits is false
 * when it's beyond 64 bits. Digits after the eighteenth decimal change nothing that can be told apart. */
static const char *read_amount(const char *p, struct amount *ret, bool *ret_fits)
{
    struct amount a = {.scale = 1};
    bool fits = true;
    if (!is_digit(*p))
        return NULL;
    for (; is_digit(*p); p++) {
        fits = fits && !__builtin_mul_overflow(a.whole, 10, &a.whole);
        fits = fits && !__builtin_add_overflow(a.whole, (uint64_t)(*p - '0'), &a.whole);
    }
    if (*p == '.') {
        if (!is_digit(*++p))
            return NULL;
        for (; is_digit(*p); p++) {
            if (a.scale >= UINT64_C(1000000000000000000))
                continue;
            a.fraction = a.fraction * 10 + (uint64_t)(*p - '0');
            a.scale *= 10;
        }
    }
    *ret = a;
    *ret_fits = fits;
    return p;
}

static bool multiply(struct amount a, uint64_t factor, uint64_t *ret)
{
    unsigned __int128 total = (unsigned __int128)a.whole * factor + (unsigned __int128)a.fraction * factor / a.scale;
    if (total > UINT64_MAX)
        return false;
    *ret = (uint64_t)total;
    return true;
}

static const struct unit *find_unit(const struct unit *units, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

struct quantity {
    const char *what, *hint; /* "a size", how it's written */
    const struct unit *units;
    size_t n_units;
    uint64_t max;
    const char *max_text;
};

static int refuse(const struct quantity *q, const char *text, const char *why, struct error *err)
{
    error_set(err, ERROR_INVALID, "\"%s\" %s", show(text).text, why);
    error_hint(err, "%s", q->hint);
    return ERROR_INVALID;
}

static int read_quantity(const struct quantity *q, const char *text, uint64_t *ret, struct error *err)
{
    const char *p = text + strspn(text, " ");
    struct amount amount;
    bool fits;
    if (*p == '-' && is_digit(p[1]))
        return refuse(q, text, "is negative", err);
    p = read_amount(p, &amount, &fits);
    if (!p) {
        error_set(err, ERROR_INVALID, "\"%s\" isn't %s", show(text).text, q->what);
        error_hint(err, "%s", q->hint);
        return ERROR_INVALID;
    }
    p += strspn(p, " ");
    const struct unit *unit = find_unit(q->units, q->n_units, p);
    if (!unit) {
        if (*p)
            error_set(err, ERROR_INVALID, "\"%s\" isn't %s: there's no unit \"%s\"", show(text).text, q->what,
                      show(p).text);
        else
            error_set(err, ERROR_INVALID, "\"%s\" isn't %s: the unit is missing", show(text).text, q->what);
        error_hint(err, "%s", q->hint);
        return ERROR_INVALID;
    }
    uint64_t value;
    if (!fits || !multiply(amount, unit->factor, &value) || value > q->max) {
        error_set(err, ERROR_INVALID, "\"%s\" is more than the maximum, %s", show(text).text, q->max_text);
        return ERROR_INVALID;
    }
    if (value == 0)
        return refuse(q, text, "isn't more than zero", err);
    *ret = value;
    return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes, struct error *err)
{
    static const struct quantity SIZE = {
        .what = "a size",
        .hint = "write a number and a unit, such as \"64MB\", \"1.5GB\" or \"512MiB\"",
        .units = SIZE_UNITS,
        .n_units = sizeof SIZE_UNITS / sizeof SIZE_UNITS[0],
        .max = UINT64_MAX,
        .max_text = "2^64 bytes",
    };
    return read_quantity(&SIZE, text, ret_bytes, err);
}

int parse_duration(const char *text, uint64_t *ret_ns, struct error *err)
{
    static const struct quantity DURATION = {
        .what = "a duration",
        .hint = "write a number and a unit, such as \"500ms\", \"30s\", \"5m\", \"1h\" or \"7d\"",
        .units = TIME_UNITS,
        .n_units = sizeof TIME_UNITS / sizeof TIME_UNITS[0],
        .max = POLICY_TIMEOUT_MAX_NS,
        .max_text = "365 days",
    };
    return read_quantity(&DURATION, text, ret_ns, err);
}

static int read_fuel(const char *text, uint64_t *ret, struct error *err)
{
    struct amount amount;
    bool fits;
    const char *end = read_amount(text, &amount, &fits);
    if (!end || *end != '\0' || amount.scale != 1)
        return ERROR_NOT_FOUND;
    if (!fits || amount.whole > POLICY_FUEL_MAX)
        return error_set(err, ERROR_INVALID, "\"%s\" is more than the maximum, %llu", show(text).text,
                         (unsigned long long)POLICY_FUEL_MAX);
    if (amount.whole == 0)
        return error_set(err, ERROR_INVALID, "\"%s\" isn't more than zero", show(text).text);
    *ret = amount.whole;
    return 0;
}

int parse_compute(const char *text, uint64_t *ret_fuel, struct error *err)
{
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
    error_set(err, ERROR_INVALID, "\"%s\" isn't a compute level", show(text).text);
    if (near)
        error_hint(err, "did you mean \"%s\"?", near);
    else
        error_hint(err, "write \"LOW\", \"MEDIUM\", \"HIGH\" or an exact amount of fuel such as \"1000000\"");
    return ERROR_INVALID;
}
