/* Stands in front of the C library's resolver, by LD_PRELOAD. Names come from the file $TEST_RESOLVER, a rule a line:
 *
 *   NAME DELAY_MS ADDRESS,ADDRESS[|ADDRESS…]    what the first look-up gives | the second | …; the last one stays
 *   @ADDRESS REAL[:PORT]                        a public address: connections to it go to REAL, on this machine
 *
 * so that tests can show names that resolve to private addresses, change between look-ups, or take long, and hosts
 * that are public as far as the program can see. Names without a rule don't exist; all that are asked for are noted.
 * Thread rule: look-ups are counted under a lock; a descriptor's disguise belongs to whoever owns the descriptor. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RULES_MAX = 64, FDS_MAX = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char name[256];
    unsigned looked_up;
} counts[RULES_MAX];
static struct sockaddr_in disguises[FDS_MAX]; /* by descriptor; no family: none */

static unsigned count(const char *name) {
    unsigned n = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < RULES_MAX; i++)
        if (counts[i].name[0] == '\0' || strcmp(counts[i].name, name) == 0) {
            snprintf(counts[i].name, sizeof counts[i].name, "%s", name);
            n = counts[i].looked_up++;
            break;
        }
    pthread_mutex_unlock(&lock);
    return n;
}

static FILE *rules(void) {
    const char *path = getenv("TEST_RESOLVER");
    return path ? fopen(path, "re") : NULL;
}

/* Every name that was asked for, in $TEST_RESOLVER.asked. */
static void note(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s.asked", getenv("TEST_RESOLVER"));
    FILE *file = fopen(path, "ae");
    if (file) {
        fprintf(file, "%s\n", name);
        fclose(file);
    }
}

/* The n-th of the parts between separators, or the last one. */
static void pick(char *text, unsigned n, const char *separator) {
    char *rest = text, *part = strsep(&rest, separator);
    while (n-- > 0 && rest)
        part = strsep(&rest, separator);
    memmove(text, part, strlen(part) + 1);
}

static int find(const char *name, char ret[1024], useconds_t *delay) {
    char line[1200], rule[256];
    unsigned delay_ms;
    FILE *file = rules();
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "%255s %u %1023s", rule, &delay_ms, ret) == 3 && strcasecmp(rule, name) == 0;
    if (file)
        fclose(file);
    *delay = found ? delay_ms * 1000 : 0;
    return found;
}

/* Some libraries append the final dot themselves. */
static void undotted(const char *node, char ret[256]) {
    snprintf(ret, 256, "%s", node);
    size_t n = strlen(ret);
    if (n && ret[n - 1] == '.')
        ret[n - 1] = '\0';
}

static int answer(const char *address, const char *service, const struct addrinfo *hints, struct addrinfo **ret) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo numeric = hints ? *hints : (struct addrinfo){0};
    numeric.ai_family = AF_UNSPEC;
    numeric.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    return real(address, service, &numeric, ret);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret) {
    char name[256], answers[1024];
    useconds_t delay;
    struct in6_addr literal;
    if (!node || inet_pton(AF_INET, node, &literal) == 1 || inet_pton(AF_INET6, node, &literal) == 1)
        return answer(node, service, hints, ret);
    undotted(node, name);
    note(name);
    if (!find(name, answers, &delay))
        return EAI_NONAME;
    pick(answers, count(name), "|");
    usleep(delay);
    struct addrinfo *first = NULL, **last = &first;
    char *rest = answers, *address;
    while ((address = strsep(&rest, ",")))
        if (answer(address, service, hints, last) == 0)
            while (*last)
                last = &(*last)->ai_next;
    *ret = first;
    return first ? 0 : EAI_NONAME;
}

static int disguised(const struct sockaddr *to, struct sockaddr_in *ret_real) {
    if (to->sa_family != AF_INET)
        return 0;
    char line[1200], address[64], real[64], wanted[64];
    *ret_real = *(const struct sockaddr_in *)to;
    inet_ntop(AF_INET, &ret_real->sin_addr, wanted, sizeof wanted);
    FILE *file = rules();
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "@%63s %63s", address, real) == 2 && strcmp(address, wanted) == 0;
    if (file)
        fclose(file);
    if (!found)
        return 0;
    char *port = strchr(real, ':');
    if (port) {
        *port++ = '\0';
        ret_real->sin_port = htons((uint16_t)strtol(port, NULL, 10));
    }
    return inet_pton(AF_INET, real, &ret_real->sin_addr) == 1;
}

int connect(int fd, const struct sockaddr *to, socklen_t n) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    if (fd >= 0 && fd < FDS_MAX)
        disguises[fd].sin_family = AF_UNSPEC;
    struct sockaddr_in there;
    if (fd < 0 || fd >= FDS_MAX || !disguised(to, &there))
        return real(fd, to, n);
    disguises[fd] = *(const struct sockaddr_in *)to;
    return real(fd, (struct sockaddr *)&there, sizeof there);
}

int getpeername(int fd, struct sockaddr *to, socklen_t *n) {
    int (*real)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "getpeername");
    int status = real(fd, to, n);
    if (status == 0 && fd < FDS_MAX && to->sa_family == AF_INET && disguises[fd].sin_family == AF_INET)
        *(struct sockaddr_in *)to = disguises[fd];
    return status;
}
