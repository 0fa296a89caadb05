/* libcurl, loaded when the first request is made.
 *
 * It comes as a file beside the guests, lib/capsule/curl.so, with OpenSSL and nghttp2 in it (deps/curl/module.c). Linked into the program they would cost each of its
 * starts 0.25 ms, whether it makes requests or not: 25,000 relocations touch 93 pages of OpenSSL's tables.
 * Thread-safe. */
#ifndef NET_CURL_LIBRARY_H
#define NET_CURL_LIBRARY_H

#include "base/error.h"

struct curl_calls; /* curl_calls.h */

/* Loads it from a folder lib/capsule, once; later calls do nothing. ERROR_UNSUPPORTED if it isn't there. */
int curl_library_load(const char *folder, struct error *err);
/* After that. */
const struct curl_calls *curl(void);

#endif
