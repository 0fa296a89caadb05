/* The host's functions as guests import them; guest/abi.h says what they do. */
#ifndef GUEST_COMMON_HOST_H
#define GUEST_COMMON_HOST_H

#include <stdint.h>

/* Both for functions: what a module imports from the host and what it exports to it. */
#define IMPORT(name) __attribute__((import_module("capsule"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(op_submit) extern int32_t op_submit(const uint8_t *message, uint32_t n);
IMPORT(op_wait) extern int32_t op_wait(const uint32_t *ops, uint32_t n, int64_t timeout_ns);
IMPORT(op_next) extern int32_t op_next(uint32_t *ids, uint32_t capacity, int64_t timeout_ns);
IMPORT(op_cancel) extern int32_t op_cancel(uint32_t op);
IMPORT(op_take) extern int32_t op_take(uint32_t op, uint8_t *to, uint32_t capacity);
IMPORT(fuel_left) extern int64_t fuel_left(void);

/* A refusal (GUEST_E_…) in words that a user understands. */
const char *host_refusal(int32_t code);

#endif
