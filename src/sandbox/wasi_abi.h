/* The numbers and record layouts of WASI preview 1 ("wasi_snapshot_preview1"), as its specification gives them.
 *
 * All integers are little-endian; layouts are given as byte offsets, because records are read from and written to
 * guest memory byte by byte and never by casting. Used by wasi*.c and their tests only. */
#ifndef SANDBOX_WASI_ABI_H
#define SANDBOX_WASI_ABI_H

/* name, number. Each name is also the host's, with E before it; wasi.c translates by that. */
/* clang-format off */
#define WASI_ERRNOS(X) \
    X(2BIG, 1) X(ACCES, 2) X(ADDRINUSE, 3) X(ADDRNOTAVAIL, 4) X(AFNOSUPPORT, 5) X(AGAIN, 6) X(ALREADY, 7) \
    X(BADF, 8) X(BADMSG, 9) X(BUSY, 10) X(CANCELED, 11) X(CHILD, 12) X(CONNABORTED, 13) X(CONNREFUSED, 14) \
    X(CONNRESET, 15) X(DEADLK, 16) X(DESTADDRREQ, 17) X(DOM, 18) X(DQUOT, 19) X(EXIST, 20) X(FAULT, 21) \
    X(FBIG, 22) X(HOSTUNREACH, 23) X(IDRM, 24) X(ILSEQ, 25) X(INPROGRESS, 26) X(INTR, 27) X(INVAL, 28) \
    X(IO, 29) X(ISCONN, 30) X(ISDIR, 31) X(LOOP, 32) X(MFILE, 33) X(MLINK, 34) X(MSGSIZE, 35) X(MULTIHOP, 36) \
    X(NAMETOOLONG, 37) X(NETDOWN, 38) X(NETRESET, 39) X(NETUNREACH, 40) X(NFILE, 41) X(NOBUFS, 42) \
    X(NODEV, 43) X(NOENT, 44) X(NOEXEC, 45) X(NOLCK, 46) X(NOLINK, 47) X(NOMEM, 48) X(NOMSG, 49) \
    X(NOPROTOOPT, 50) X(NOSPC, 51) X(NOSYS, 52) X(NOTCONN, 53) X(NOTDIR, 54) X(NOTEMPTY, 55) \
    X(NOTRECOVERABLE, 56) X(NOTSOCK, 57) X(NOTSUP, 58) X(NOTTY, 59) X(NXIO, 60) X(OVERFLOW, 61) \
    X(OWNERDEAD, 62) X(PERM, 63) X(PIPE, 64) X(PROTO, 65) X(PROTONOSUPPORT, 66) X(PROTOTYPE, 67) X(RANGE, 68) \
    X(ROFS, 69) X(SPIPE, 70) X(SRCH, 71) X(STALE, 72) X(TIMEDOUT, 73) X(TXTBSY, 74) X(XDEV, 75)
/* clang-format on */

enum wasi_errno {
    WASI_E_SUCCESS = 0,
#define WASI_ERRNO_ENUM(name, number) WASI_E_##name = number,
    WASI_ERRNOS(WASI_ERRNO_ENUM)
#undef WASI_ERRNO_ENUM
        WASI_E_NOTCAPABLE = 76,
};

/* A descriptor's rights: which calls it may be used for. */
enum wasi_right {
    WASI_RIGHT_FD_DATASYNC = 1 << 0,
    WASI_RIGHT_FD_READ = 1 << 1,
    WASI_RIGHT_FD_SEEK = 1 << 2,
    WASI_RIGHT_FD_FDSTAT_SET_FLAGS = 1 << 3,
    WASI_RIGHT_FD_SYNC = 1 << 4,
    WASI_RIGHT_FD_TELL = 1 << 5,
    WASI_RIGHT_FD_WRITE = 1 << 6,
    WASI_RIGHT_FD_ADVISE = 1 << 7,
    WASI_RIGHT_FD_ALLOCATE = 1 << 8,
    WASI_RIGHT_PATH_CREATE_DIRECTORY = 1 << 9,
    WASI_RIGHT_PATH_CREATE_FILE = 1 << 10,
    WASI_RIGHT_PATH_LINK_SOURCE = 1 << 11,
    WASI_RIGHT_PATH_LINK_TARGET = 1 << 12,
    WASI_RIGHT_PATH_OPEN = 1 << 13,
    WASI_RIGHT_FD_READDIR = 1 << 14,
    WASI_RIGHT_PATH_READLINK = 1 << 15,
    WASI_RIGHT_PATH_RENAME_SOURCE = 1 << 16,
    WASI_RIGHT_PATH_RENAME_TARGET = 1 << 17,
    WASI_RIGHT_PATH_FILESTAT_GET = 1 << 18,
    WASI_RIGHT_PATH_FILESTAT_SET_SIZE = 1 << 19,
    WASI_RIGHT_PATH_FILESTAT_SET_TIMES = 1 << 20,
    WASI_RIGHT_FD_FILESTAT_GET = 1 << 21,
    WASI_RIGHT_FD_FILESTAT_SET_SIZE = 1 << 22,
    WASI_RIGHT_FD_FILESTAT_SET_TIMES = 1 << 23,
    WASI_RIGHT_PATH_SYMLINK = 1 << 24,
    WASI_RIGHT_PATH_REMOVE_DIRECTORY = 1 << 25,
    WASI_RIGHT_PATH_UNLINK_FILE = 1 << 26,
    WASI_RIGHT_POLL_FD_READWRITE = 1 << 27,
    WASI_RIGHT_SOCK_SHUTDOWN = 1 << 28,
    WASI_RIGHT_SOCK_ACCEPT = 1 << 29,
};

enum wasi_filetype {
    WASI_FILETYPE_UNKNOWN = 0,
    WASI_FILETYPE_BLOCK_DEVICE = 1,
    WASI_FILETYPE_CHARACTER_DEVICE = 2,
    WASI_FILETYPE_DIRECTORY = 3,
    WASI_FILETYPE_REGULAR_FILE = 4,
    WASI_FILETYPE_SOCKET_DGRAM = 5,
    WASI_FILETYPE_SOCKET_STREAM = 6,
    WASI_FILETYPE_SYMBOLIC_LINK = 7,
};

enum wasi_fdflag {
    WASI_FDFLAG_APPEND = 1 << 0,
    WASI_FDFLAG_DSYNC = 1 << 1,
    WASI_FDFLAG_NONBLOCK = 1 << 2,
    WASI_FDFLAG_RSYNC = 1 << 3,
    WASI_FDFLAG_SYNC = 1 << 4,
    WASI_FDFLAGS = (1 << 5) - 1,
};

enum wasi_oflag {
    WASI_OFLAG_CREAT = 1 << 0,
    WASI_OFLAG_DIRECTORY = 1 << 1,
    WASI_OFLAG_EXCL = 1 << 2,
    WASI_OFLAG_TRUNC = 1 << 3,
    WASI_OFLAGS = (1 << 4) - 1,
};

enum wasi_lookupflag { WASI_LOOKUP_SYMLINK_FOLLOW = 1 << 0 };

enum wasi_fstflag {
    WASI_FSTFLAG_ATIM = 1 << 0,
    WASI_FSTFLAG_ATIM_NOW = 1 << 1,
    WASI_FSTFLAG_MTIM = 1 << 2,
    WASI_FSTFLAG_MTIM_NOW = 1 << 3,
    WASI_FSTFLAGS = (1 << 4) - 1,
};

enum wasi_whence { WASI_WHENCE_SET = 0, WASI_WHENCE_CUR = 1, WASI_WHENCE_END = 2 };

enum wasi_clock {
    WASI_CLOCK_REALTIME = 0,
    WASI_CLOCK_MONOTONIC = 1,
    WASI_CLOCK_PROCESS_CPUTIME = 2,
    WASI_CLOCK_THREAD_CPUTIME = 3,
};

enum wasi_eventtype { WASI_EVENT_CLOCK = 0, WASI_EVENT_FD_READ = 1, WASI_EVENT_FD_WRITE = 2 };

enum { WASI_ADVICE_MAX = 5, WASI_EVENT_HANGUP = 1 << 0, WASI_SUBCLOCK_ABSTIME = 1 << 0, WASI_PREOPEN_DIR = 0 };

/* iovec and ciovec: u32 address, u32 length. */
enum { WASI_IOVEC_ADDRESS = 0, WASI_IOVEC_LENGTH = 4, WASI_IOVEC_SIZE = 8 };

/* fdstat: u8 filetype, u16 flags, u64 rights, u64 inheriting rights. */
enum {
    WASI_FDSTAT_FILETYPE = 0,
    WASI_FDSTAT_FLAGS = 2,
    WASI_FDSTAT_RIGHTS = 8,
    WASI_FDSTAT_INHERITING = 16,
    WASI_FDSTAT_SIZE = 24,
};

/* filestat: u64 each but the u8 filetype; times in ns. */
enum {
    WASI_FILESTAT_DEV = 0,
    WASI_FILESTAT_INO = 8,
    WASI_FILESTAT_FILETYPE = 16,
    WASI_FILESTAT_NLINK = 24,
    WASI_FILESTAT_SIZE_FIELD = 32,
    WASI_FILESTAT_ATIM = 40,
    WASI_FILESTAT_MTIM = 48,
    WASI_FILESTAT_CTIM = 56,
    WASI_FILESTAT_SIZE = 64,
};

/* prestat: u8 tag (WASI_PREOPEN_DIR), u32 name length. */
enum { WASI_PRESTAT_TAG = 0, WASI_PRESTAT_NAME_LENGTH = 4, WASI_PRESTAT_SIZE = 8 };

/* dirent: u64 cookie of the next one, u64 inode, u32 name length, u8 filetype; then the name. */
enum {
    WASI_DIRENT_NEXT = 0,
    WASI_DIRENT_INO = 8,
    WASI_DIRENT_NAME_LENGTH = 16,
    WASI_DIRENT_FILETYPE = 20,
    WASI_DIRENT_SIZE = 24,
};

/* subscription: u64 userdata, u8 event type, then for clocks u32 id, u64 timeout, u64 precision, u16 flags; else u32 fd. */
enum {
    WASI_SUBSCRIPTION_USERDATA = 0,
    WASI_SUBSCRIPTION_TYPE = 8,
    WASI_SUBSCRIPTION_CLOCK_ID = 16,
    WASI_SUBSCRIPTION_CLOCK_TIMEOUT = 24,
    WASI_SUBSCRIPTION_CLOCK_FLAGS = 40,
    WASI_SUBSCRIPTION_FD = 16,
    WASI_SUBSCRIPTION_SIZE = 48,
};

/* event: u64 userdata, u16 errno, u8 event type, then for descriptors u64 bytes, u16 flags. */
enum {
    WASI_EVENT_USERDATA = 0,
    WASI_EVENT_ERROR = 8,
    WASI_EVENT_TYPE = 10,
    WASI_EVENT_BYTES = 16,
    WASI_EVENT_FLAGS = 24,
    WASI_EVENT_SIZE = 32,
};

#endif
