/* Owns the table of Node's built-in modules and what a program uses in a sandbox instead. Pure functions; any thread. */
#define _GNU_SOURCE 1
#include "app/bundle_internal.h"

#include <string.h>

static const char FILES[] = "use `files` from \"" BUNDLE_SDK "\"";
static const char FETCH[] = "use fetch";
static const char STREAMS[] = "use the global ReadableStream, WritableStream and TransformStream";
static const char GLOBAL_CONSOLE[] = "use the global console";
static const char NO_SOCKETS[] = "a sandbox opens no sockets; use fetch";
static const char NO_SERVER[] = "a sandbox can't listen; to make requests use fetch";
static const char NO_PROCESSES[] = "a sandbox can't start processes; run other work as tasks";
static const char NO_THREADS[] = "a sandbox has one thread; run work in parallel as tasks";
static const char NO_MACHINE[] = "a sandbox knows nothing of the machine that it runs on";
static const char NO_TERMINAL[] = "a sandbox has no terminal; tasks get arguments";
static const char NO_ENGINE[] = "a sandbox doesn't run V8, and there's no replacement";
static const char NO_DEBUGGER[] = "a sandbox has no debugger, and there's no replacement";

/* By name, with a star for all names that begin so; the first row that fits counts. Names that only exist with "node:" are here without. */
static const struct builtin {
    const char *name, *instead;
} BUILTINS[] = {
    {"_http_*", FETCH},
    {"_stream_*", STREAMS},
    {"_tls_*", NO_SOCKETS},
    {"assert", "throw an Error, or install the npm package \"assert\""},
    {"assert/strict", "throw an Error, or install the npm package \"assert\""},
    {"async_hooks", "pass values as arguments; there's no replacement"},
    {"buffer", "use Uint8Array with TextEncoder and TextDecoder, or install the npm package \"buffer\""},
    {"child_process", NO_PROCESSES},
    {"cluster", NO_PROCESSES},
    {"console", GLOBAL_CONSOLE},
    {"constants", "write the numbers; there's no replacement"},
    {"crypto", "use the global crypto (crypto.subtle, crypto.getRandomValues, crypto.randomUUID)"},
    {"dgram", NO_SOCKETS},
    {"diagnostics_channel", "use EventTarget"},
    {"dns", NO_SOCKETS},
    {"dns/promises", NO_SOCKETS},
    {"domain", "use try and catch"},
    {"events", "use EventTarget, or install the npm package \"events\""},
    {"fs", FILES},
    {"fs/promises", FILES},
    {"http", FETCH},
    {"http2", FETCH},
    {"https", FETCH},
    {"inspector", NO_DEBUGGER},
    {"inspector/promises", NO_DEBUGGER},
    {"module", "write import; modules are bundled before the program runs"},
    {"net", NO_SERVER},
    {"os", NO_MACHINE},
    {"path", "install the npm package \"path-browserify\" and import that"},
    {"path/posix", "install the npm package \"path-browserify\" and import that"},
    {"path/win32", "install the npm package \"path-browserify\" and import that"},
    {"perf_hooks", "use the global performance"},
    {"process", "use `context` from \"" BUNDLE_SDK "\"; a task's envVariables are in process.env"},
    {"punycode", "use URL, or install the npm package \"punycode\" and import \"punycode/\""},
    {"querystring", "use URLSearchParams"},
    {"quic", NO_SOCKETS},
    {"readline", NO_TERMINAL},
    {"readline/promises", NO_TERMINAL},
    {"repl", NO_TERMINAL},
    {"sea", NO_MACHINE},
    {"sqlite", "a sandbox has no SQLite; install a database of pure JavaScript, or use files"},
    {"stream", STREAMS},
    {"stream/consumers", "use Response: new Response(stream).text(), .json(), .arrayBuffer()"},
    {"stream/promises", "use the streams' pipeTo and pipeThrough"},
    {"stream/web", STREAMS},
    {"string_decoder", "use TextDecoder"},
    {"sys", "use the language and the web platform: structuredClone, TextEncoder, JSON.stringify"},
    {"test", "test outside of the sandbox: there a task is an ordinary function"},
    {"test/reporters", "test outside of the sandbox: there a task is an ordinary function"},
    {"timers", "use the global setTimeout and setInterval"},
    {"timers/promises", "use await new Promise((done) => setTimeout(done, ms))"},
    {"tls", NO_SOCKETS},
    {"trace_events", NO_DEBUGGER},
    {"tty", NO_TERMINAL},
    {"url", "use the global URL and URLSearchParams"},
    {"util", "use the language and the web platform: structuredClone, TextEncoder, JSON.stringify"},
    {"util/types", "use instanceof and typeof"},
    {"v8", NO_ENGINE},
    {"vm", "eval and Function work inside a sandbox; run code that you don't trust as a task of its own"},
    {"wasi", "a sandbox is WebAssembly already and runs no further modules"},
    {"worker_threads", NO_THREADS},
    {"zlib", "install a package of pure JavaScript, such as \"fflate\""},
};

/* These are no built-in modules without "node:": a package could have the name. */
static bool needs_prefix(const char *name) {
    static const char *const NAMES[] = {"quic", "sea", "sqlite", "test", "test/reporters"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcmp(name, NAMES[i]) == 0)
            return true;
    return false;
}

static bool fits(const char *pattern, const char *name) {
    size_t n = strcspn(pattern, "*");
    return pattern[n] ? strncmp(name, pattern, n) == 0 : strcmp(name, pattern) == 0;
}

const char *bundle_builtin(const char *name) {
    bool prefixed = strncmp(name, "node:", 5) == 0;
    if (prefixed)
        name += 5;
    else if (needs_prefix(name))
        return NULL;
    for (size_t i = 0; i < sizeof BUILTINS / sizeof BUILTINS[0]; i++)
        if (fits(BUILTINS[i].name, name))
            return BUILTINS[i].instead;
    return prefixed ? "there's no replacement" : NULL;
}
