/* Sizes and durations as people write them.
 *
 *   size      "64MB" "1.5GB" "512MiB" "4096"    B, kB/KB, MB, GB, TB ×1000; KiB, MiB, GiB, TiB ×1024; no unit: bytes
 *   duration  "500ms" "30s" "1.5m" "1h" "7d"    also us, ns; a unit is required
 *
 * Units may be written in any case; one space may stand before a unit. Nothing is negative, and a value
 * that doesn't fit 64 bits is an error. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/error.h"
#include <stdint.h>

int units_size(const char *text, uint64_t *ret_bytes, struct error *err);
int units_duration(const char *text, uint64_t *ret_ns, struct error *err);

#endif
