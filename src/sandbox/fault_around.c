/* The part of userfaultfd that's needed, and allowed without privileges: user mode only, asynchronous write protection, which any mapping may have. Debian 12's kernel headers
 * are older than that feature (include/uapi/linux/userfaultfd.h of Linux 6.7). */
#include "sandbox/fault_around.h"
#include "base/fault.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FEATURE_WP_ASYNC (UINT64_C(1) << 15)
enum { USER_MODE_ONLY = 1 };

int fault_around_open(void) {
    int fd = FAULT("fault_around.open") ? -1 : (int)syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY);
    if (fd < 0)
        return -1;
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_ASYNC};
    if (ioctl(fd, UFFDIO_API, &api) == 0)
        return fd;
    close(fd);
    return -1;
}

void fault_around_stop(int fd, void *start, size_t n) {
    struct uffdio_register range = {.range = {.start = (uintptr_t)start, .len = n},
                                    .mode = UFFDIO_REGISTER_MODE_WP};
    if (fd >= 0)
        (void)ioctl(fd, UFFDIO_REGISTER, &range);
}
