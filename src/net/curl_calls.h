/* The functions of libcurl that are used, as curl.so gives them (see curl_library.h). To be included after <curl/curl.h>. */
#ifndef NET_CURL_CALLS_H
#define NET_CURL_CALLS_H

/* Without their "curl_". */
#define CURL_CALLS(X)                                                                                             \
    X(easy_cleanup)                                                                                               \
    X(easy_getinfo)                                                                                               \
    X(easy_init)                                                                                                  \
    X(easy_pause)                                                                                                 \
    X(easy_reset)                                                                                                 \
    X(easy_setopt)                                                                                                \
    X(easy_strerror)                                                                                              \
    X(free)                                                                                                       \
    X(global_cleanup)                                                                                             \
    X(global_init)                                                                                                \
    X(multi_add_handle)                                                                                           \
    X(multi_cleanup)                                                                                              \
    X(multi_info_read)                                                                                            \
    X(multi_init)                                                                                                 \
    X(multi_perform)                                                                                              \
    X(multi_poll)                                                                                                 \
    X(multi_remove_handle)                                                                                        \
    X(multi_setopt)                                                                                               \
    X(multi_wakeup)                                                                                               \
    X(slist_append)                                                                                               \
    X(slist_free_all)                                                                                             \
    X(url)                                                                                                        \
    X(url_cleanup)                                                                                                \
    X(url_dup)                                                                                                    \
    X(url_get)                                                                                                    \
    X(url_set)

struct curl_calls {
#define CURL_CALL(name) __typeof__(curl_##name) *name;
    CURL_CALLS(CURL_CALL)
#undef CURL_CALL
};

/* What the file shows: one symbol, a struct curl_calls. */
extern const struct curl_calls capsule_curl_calls;

#endif
