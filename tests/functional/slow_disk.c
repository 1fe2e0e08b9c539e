/* A disk that sleeps, for LD_PRELOAD: calls on files below SLOW_DIRECTORY take five seconds while
   the file SLOW_FLAGS.CALL exists; CALL is open, stat, read or sync. Nothing is in memory then. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int asleep(const char *path, const char *call) {
    const char *directory = getenv("SLOW_DIRECTORY"), *flags = getenv("SLOW_FLAGS");
    char flag[PATH_MAX];
    if (!directory || !flags || !path || strncmp(path, directory, strlen(directory)))
        return 0;
    snprintf(flag, sizeof flag, "%s.%s", flags, call);
    return syscall(SYS_access, flag, F_OK) == 0;
}

static void wait_for(const char *path, const char *call) {
    int saved = errno;
    if (asleep(path, call))
        sleep(5);
    errno = saved;
}

static const char *path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlink, link, path, PATH_MAX - 1);
    if (length < 0)
        return NULL;
    path[length] = 0;
    return path;
}

static void wait_for_fd(int fd, const char *call) {
    char path[PATH_MAX];
    int saved = errno;
    wait_for(path_of(fd, path), call);
    errno = saved;
}

#define OPEN(name)                                                   \
    int name(const char *path, int flags, ...) {                     \
        va_list more;                                                \
        va_start(more, flags);                                       \
        mode_t mode = va_arg(more, mode_t);                          \
        va_end(more);                                                \
        wait_for(path, "open");                                      \
        return NEXT(name)(path, flags, mode);                        \
    }
OPEN(open)
OPEN(open64)

#define STAT(name, type)                                             \
    int name(const char *path, struct type *found) {                 \
        wait_for(path, "stat");                                      \
        return NEXT(name)(path, found);                              \
    }
STAT(stat, stat)
STAT(stat64, stat64)

#define PREAD(name, offset_type)                                     \
    ssize_t name(int fd, void *to, size_t size, offset_type at) {    \
        wait_for_fd(fd, "read");                                     \
        return NEXT(name)(fd, to, size, at);                         \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define PREADV(name, offset_type)                                                          \
    ssize_t name(int fd, const struct iovec *to, int count, offset_type at, int flags) {   \
        char path[PATH_MAX];                                                               \
        if (asleep(path_of(fd, path), "read")) {                                           \
            if (flags & RWF_NOWAIT) {                                                      \
                errno = EAGAIN;                                                            \
                return -1;                                                                 \
            }                                                                              \
            sleep(5);                                                                      \
        }                                                                                  \
        return NEXT(name)(fd, to, count, at, flags);                                       \
    }
PREADV(preadv2, off_t)
PREADV(preadv64v2, off64_t)

#define SYNC(name)                                                   \
    int name(int fd) {                                               \
        wait_for_fd(fd, "sync");                                     \
        return NEXT(name)(fd);                                       \
    }
SYNC(fsync)
SYNC(fdatasync)
