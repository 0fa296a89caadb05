/* See moment.h. */
#include "moment.h"
#include "base/clock.h"
#include "output.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define MINUTE (60 * NS_PER_S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

uint64_t moment_parse(const char *text) {
    struct tm parts = {0};
    char *rest = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
    if (rest == NULL)
        return 0;
    const time_t seconds = timegm(&parts);
    if (seconds < 0)
        return 0;
    uint64_t fraction = 0, unit = NS_PER_S;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9' && unit >= 10; rest++)
            fraction += (uint64_t)(*rest - '0') * (unit /= 10);
    return (uint64_t)seconds * NS_PER_S + fraction;
}

uint64_t moment_now(void) {
    return clock_wall_ns();
}

/* False for times that no calendar has. */
static bool split(uint64_t time, struct tm *ret) {
    const time_t seconds = (time_t)(time / NS_PER_S);
    return localtime_r(&seconds, ret) != NULL;
}

const char *moment_format(char *buf, size_t n, uint64_t time) {
    struct tm t;
    if (!split(time, &t) || strftime(buf, n, "%Y-%m-%d %H:%M:%S", &t) == 0)
        snprintf(buf, n, "?");
    return buf;
}

const char *moment_format_short(char *buf, size_t n, uint64_t time, uint64_t now) {
    struct tm t, today;
    if (!split(time, &t) || !split(now, &today) || t.tm_yday != today.tm_yday || t.tm_year != today.tm_year)
        return moment_format(buf, n, time);
    if (strftime(buf, n, "%H:%M:%S", &t) == 0)
        snprintf(buf, n, "?");
    return buf;
}

const char *moment_format_span(char *buf, size_t n, uint64_t ns) {
    if (ns < 100 * NS_PER_S)
        return format_duration(buf, n, ns);
    if (ns < 100 * MINUTE)
        snprintf(buf, n, "%" PRIu64 " min %02" PRIu64 " s", ns / MINUTE, ns % MINUTE / NS_PER_S);
    else if (ns < 2 * DAY)
        snprintf(buf, n, "%" PRIu64 " h %02" PRIu64 " min", ns / HOUR, ns % HOUR / MINUTE);
    else
        snprintf(buf, n, "%" PRIu64 " d %" PRIu64 " h", ns / DAY, ns % DAY / HOUR);
    return buf;
}

const char *moment_format_age(char *buf, size_t n, uint64_t ns) {
    if (ns < NS_PER_S)
        snprintf(buf, n, "now");
    else if (ns < 100 * NS_PER_S)
        snprintf(buf, n, "%" PRIu64 " s", ns / NS_PER_S);
    else if (ns < 100 * MINUTE)
        snprintf(buf, n, "%" PRIu64 " min", ns / MINUTE);
    else if (ns < 2 * DAY)
        snprintf(buf, n, "%" PRIu64 " h", ns / HOUR);
    else
        snprintf(buf, n, "%" PRIu64 " d", ns / DAY);
    return buf;
}
