/* The runtime (runtime/main.ts and what it imports) as bytecode, which the recipe makes. Not constant, so that it can be wiped when it has been read: pages of zeros
 * are no part of an image. */
#ifndef GUEST_JS_RUNTIME_BYTECODE_H
#define GUEST_JS_RUNTIME_BYTECODE_H

#include <stddef.h>

extern unsigned char runtime_bytecode[];
extern const size_t runtime_bytecode_n;

#endif
