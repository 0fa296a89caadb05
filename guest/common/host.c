#include "host.h"
#include "abi.h"

_Static_assert(GUEST_OPS_MAX == 16384, "host_refusal says the limit");

const char *host_refusal(int32_t code) {
    switch (code) {
    case GUEST_E_PENDING:
        return "the operation isn't done yet";
    case GUEST_E_NO_SUCH_OP:
        return "there is no such operation, or its reply was taken already";
    case GUEST_E_BAD_MESSAGE:
        return "the host refused the operation's message: malformed or too long";
    case GUEST_E_TOO_MANY:
        return "too many operations are open at once (at most 16384); wait for some of them";
    case GUEST_E_FORBIDDEN:
        return "this can't be done while a module is imported, only inside a running task";
    default:
        return "the host refused the operation";
    }
}
