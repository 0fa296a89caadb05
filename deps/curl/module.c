/* lib/capsule/curl.so: libcurl with all that it stands on, behind one symbol. See src/net/curl_library.h. */
#include <curl/curl.h>
/* after <curl/curl.h> */
#include "net/curl_calls.h"

__attribute__((visibility("default"))) const struct curl_calls capsule_curl_calls = {
#define CURL_CALL(name) .name = curl_##name,
    CURL_CALLS(CURL_CALL)
#undef CURL_CALL
};
