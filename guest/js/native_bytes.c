/* Bytes and text of `capsule:native`: UTF-8, Latin-1, random bytes, digests. */
#include "Hacl_Hash_SHA1.h"
#include "Hacl_Hash_SHA2.h"
#include "engine.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTROPY_MAX = 256, DIGEST_MAX = 64 };

/* --- text to bytes --- */

/* QuickJS writes half of a surrogate pair as three bytes from ED A0 80 on; its replacement character has three as well. */
static void replace_surrogates(uint8_t *bytes, size_t n) {
    for (size_t i = 0; i + 2 < n; i++)
        if (bytes[i] == 0xed && bytes[i + 1] >= 0xa0)
            memcpy(bytes + i, "\xef\xbf\xbd", 3);
}

static JSValue encode_utf8(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    size_t n;
    const char *text = JS_ToCStringLen(js, &n, argv[0]);
    if (!text)
        return JS_EXCEPTION;
    JSValue array = JS_NewUint8ArrayCopy(js, (const uint8_t *)text, n);
    JS_FreeCString(js, text);
    uint8_t *bytes = JS_IsException(array) ? NULL : JS_GetUint8Array(js, &n, array);
    if (bytes)
        replace_surrogates(bytes, n);
    return array;
}

/* --- bytes to text --- */

/* The range of the second byte after `lead`, and how many follow; 0: `lead` begins nothing (Unicode, table 3-7). */
static int follow(uint8_t lead, uint8_t *low, uint8_t *high) {
    *low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 1;
    if (lead >= 0xe0 && lead <= 0xef)
        return 2;
    return lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
}

/* Length of the character that begins at `at`; negative: of the malformed part there, which one U+FFFD stands for. */
static int character(const uint8_t *at, const uint8_t *end) {
    uint8_t low, high;
    if (*at < 0x80)
        return 1;
    int more = follow(*at, &low, &high), n = 1;
    for (; n <= more; n++, low = 0x80, high = 0xbf)
        if (at + n == end || at[n] < low || at[n] > high)
            return -n;
    return more ? n : -1;
}

static bool is_utf8(const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        int n = character(at, end);
        if (n < 0)
            return false;
        at += n;
    }
    return true;
}

static uint32_t code_point(const uint8_t *at, int n) {
    uint32_t c = n == 1 ? at[0] : n == 2 ? at[0] & 31 : n == 3 ? at[0] & 15 : at[0] & 7;
    for (int i = 1; i < n; i++)
        c = c << 6 | (at[i] & 63);
    return c;
}

static JSValue decode_malformed(JSContext *js, const uint8_t *at, const uint8_t *end) {
    uint16_t *units = malloc((size_t)(end - at) * sizeof *units);
    size_t used = 0;
    if (!units)
        return JS_ThrowOutOfMemory(js);
    while (at < end) {
        int n = character(at, end);
        uint32_t c = n > 0 ? code_point(at, n) : 0xfffd;
        if (c > 0xffff) {
            units[used++] = (uint16_t)(0xd7c0 + (c >> 10));
            c = 0xdc00 | (c & 0x3ff);
        }
        units[used++] = (uint16_t)c;
        at += n > 0 ? n : -n;
    }
    JSValue text = JS_NewStringUTF16(js, units, used);
    free(units);
    return text;
}

static JSValue decode_utf8(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    size_t n;
    const uint8_t *bytes = JS_GetUint8Array(js, &n, argv[0]);
    if (!bytes && JS_HasException(js))
        return JS_EXCEPTION;
    if (is_utf8(bytes, bytes + n))
        return JS_NewStringLen(js, (const char *)bytes, n);
    if (JS_ToBool(js, argv[1]))
        return JS_ThrowTypeError(js, "The encoded data was not valid for encoding utf-8");
    return decode_malformed(js, bytes, bytes + n);
}

static JSValue decode_latin1(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    size_t n;
    const uint8_t *bytes = JS_GetUint8Array(js, &n, argv[0]);
    if (!bytes && JS_HasException(js))
        return JS_EXCEPTION;
    uint16_t *units = malloc(n ? n * sizeof *units : 1);
    if (!units)
        return JS_ThrowOutOfMemory(js);
    for (size_t i = 0; i < n; i++)
        units[i] = bytes[i];
    JSValue text = JS_NewStringUTF16(js, units, n);
    free(units);
    return text;
}

/* --- random bytes and digests --- */

static JSValue random_fill(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    size_t n;
    uint8_t *bytes = JS_GetUint8Array(js, &n, argv[0]);
    if (!bytes && JS_HasException(js))
        return JS_EXCEPTION;
    for (size_t at = 0; at < n; at += ENTROPY_MAX)
        if (getentropy(bytes + at, n - at < ENTROPY_MAX ? n - at : ENTROPY_MAX))
            return JS_ThrowInternalError(js, "the host gives no random bytes");
    return JS_UNDEFINED;
}

static const struct {
    const char *name;
    void (*hash)(uint8_t *output, uint8_t *input, uint32_t n);
    size_t size;
} digests[] = {
    {"SHA-1", Hacl_Hash_SHA1_hash, 20},
    {"SHA-256", Hacl_Hash_SHA2_hash_256, 32},
    {"SHA-384", Hacl_Hash_SHA2_hash_384, 48},
    {"SHA-512", Hacl_Hash_SHA2_hash_512, 64},
};

static JSValue digest(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    uint8_t output[DIGEST_MAX];
    size_t n, i = 0;
    const char *name = JS_ToCString(js, argv[0]);
    if (!name)
        return JS_EXCEPTION;
    while (i < sizeof digests / sizeof digests[0] && strcmp(digests[i].name, name) != 0)
        i++;
    JS_FreeCString(js, name);
    if (i == sizeof digests / sizeof digests[0])
        return JS_ThrowTypeError(js, "unknown digest");
    uint8_t *bytes = JS_GetUint8Array(js, &n, argv[1]);
    if (!bytes && JS_HasException(js))
        return JS_EXCEPTION;
    digests[i].hash(output, bytes, (uint32_t)n);
    return JS_NewUint8ArrayCopy(js, output, digests[i].size);
}

const JSCFunctionListEntry native_bytes[] = {
    JS_CFUNC_DEF("encodeUtf8", 1, encode_utf8),
    JS_CFUNC_DEF("decodeUtf8", 2, decode_utf8),
    JS_CFUNC_DEF("decodeLatin1", 1, decode_latin1),
    JS_CFUNC_DEF("randomFill", 1, random_fill),
    JS_CFUNC_DEF("digest", 2, digest),
};
const int native_bytes_n = sizeof native_bytes / sizeof native_bytes[0];
