/* Owns the arithmetic of units.h. Numbers are read by hand, in integers: strtod depends on the locale and takes "inf", "nan" and
 * hexadecimal, and "1.1GB" is 1,100,000,000. Pure functions; any thread. */
#include "base/units.h"

#include "base/show.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

#define KILO UINT64_C(1000)
#define KIBI UINT64_C(1024)

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"KB", KILO},
    {"MB", KILO *KILO},
    {"GB", KILO *KILO *KILO},
    {"TB", KILO *KILO *KILO *KILO},
    {"KiB", KIBI},
    {"MiB", KIBI *KIBI},
    {"GiB", KIBI *KIBI *KIBI},
    {"TiB", KIBI *KIBI *KIBI *KIBI},
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", KILO},
    {"ms", KILO *KILO},
    {"s", KILO *KILO *KILO},
    {"m", 60 * KILO *KILO *KILO},
    {"h", 3600 * KILO *KILO *KILO},
    {"d", 86400 * KILO *KILO *KILO},
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* A decimal number: whole + fraction / scale. */
struct amount {
    uint64_t whole, fraction, scale;
};

/* DIGITS[.DIGITS]. Returns what follows, or NULL if there's no number; *ret_fits is false when it's beyond 64 bits. */
static const char *read_amount(const char *p, struct amount *ret, bool *ret_fits) {
    struct amount a = {.scale = 1};
    bool fits = true;
    if (!is_digit(*p))
        return NULL;
    for (; is_digit(*p); p++) {
        fits = fits && !__builtin_mul_overflow(a.whole, 10, &a.whole);
        fits = fits && !__builtin_add_overflow(a.whole, (uint64_t)(*p - '0'), &a.whole);
    }
    if (*p == '.' && !is_digit(*++p))
        return NULL;
    /* 18 places are more than any factor here can tell apart; the rest only has to be digits. */
    for (; is_digit(*p); p++) {
        if (a.scale >= UINT64_C(1000000000000000000))
            continue;
        a.fraction = a.fraction * 10 + (uint64_t)(*p - '0');
        a.scale *= 10;
    }
    *ret = a;
    *ret_fits = fits;
    return p;
}

/* Rounded down. False when it doesn't fit. */
static bool multiply(struct amount a, uint64_t factor, uint64_t *ret) {
    unsigned __int128 total =
        (unsigned __int128)a.whole * factor + (unsigned __int128)a.fraction * factor / a.scale;
    *ret = (uint64_t)total;
    return total <= UINT64_MAX;
}

/* What is read: "a size", and how it's written. */
struct grammar {
    const char *what, *hint;
    const struct unit *units;
    size_t n;
};

static const struct unit *find_unit(const struct grammar *g, const char *name) {
    for (size_t i = 0; i < g->n; i++)
        if (strcasecmp(name, g->units[i].name) == 0)
            return &g->units[i];
    return NULL;
}

static int refuse(const struct grammar *g, const char *text, const char *why, struct error *err) {
    error_set(err, ERROR_INVALID, "'%s' isn't %s%s%s", show(text).text, g->what, why[0] ? ": " : "", why);
    error_hint(err, "%s", g->hint);
    return ERROR_INVALID;
}

static int parse(const struct grammar *g, const char *text, uint64_t *ret, struct error *err) {
    struct amount amount;
    bool fits;
    uint64_t value;
    if (text[0] == '-' && is_digit(text[1]))
        return refuse(g, text, "it's negative", err);
    const char *name = read_amount(text, &amount, &fits);
    if (!name)
        return refuse(g, text, "", err);
    if (*name == ' ')
        name++;
    const struct unit *unit = find_unit(g, name);
    if (!unit)
        return refuse(g, text, *name ? "it has an unknown unit" : "the unit is missing", err);
    if (unit->factor == 1 && amount.scale > 1)
        return refuse(g, text, "there's nothing smaller than one", err);
    if (!fits || !multiply(amount, unit->factor, &value))
        return refuse(g, text, "it's too large", err);
    *ret = value;
    return 0;
}

int units_size(const char *text, uint64_t *ret_bytes, struct error *err) {
    static const struct grammar SIZE = {
        "a size",
        "write a number and a unit, such as 64MB, 1.5GB or 512MiB",
        size_units,
        sizeof size_units / sizeof size_units[0],
    };
    return parse(&SIZE, text, ret_bytes, err);
}

int units_duration(const char *text, uint64_t *ret_ns, struct error *err) {
    static const struct grammar DURATION = {
        "a duration",
        "write a number and a unit, such as 500ms, 30s, 5m, 1h or 7d",
        duration_units,
        sizeof duration_units / sizeof duration_units[0],
    };
    return parse(&DURATION, text, ret_ns, err);
}
