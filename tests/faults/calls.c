/* Preloaded into a process under test: counts the calls that make its files durable, and lets one of them fail or be the last.
 *
 * LULL_FAULT_UNDER  only files below this folder count
 * LULL_FAULT_LOG    a line a call: its number, its name, the file; beyond them `failed` and `used-after-failed-sync`
 * LULL_FAULT_AT     the number of the call that is hit; 0 = none
 * LULL_FAULT_DO     kill: SIGKILL instead of the call; torn: SIGKILL after half of what is written; else an errno
 *
 * Processes that this one starts are left alone. Counted is what goes through libc, as all of the store's calls do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 4096

static char under[4096];
static size_t under_length;
static long hit_at, calls;
static int log_fd = -1, error, torn;
static char unsynced[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void) {
    const char *folder = getenv("LULL_FAULT_UNDER"), *log = getenv("LULL_FAULT_LOG");
    const char *at = getenv("LULL_FAULT_AT"), *what = getenv("LULL_FAULT_DO");
    unsetenv("LD_PRELOAD");
    if (!folder || !log) return;
    under_length = strlen(folder);
    if (under_length >= sizeof under) abort();
    memcpy(under, folder, under_length + 1);
    hit_at = at ? atol(at) : 0;
    torn = what && !strcmp(what, "torn");
    error = what && strcmp(what, "kill") && !torn ? atoi(what) : 0;
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
}

static int counts(const char *path) {
    return log_fd >= 0 && path && !strncmp(path, under, under_length);
}

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return counts(path);
}

static void say(long number, const char *call, const char *path) {
    char line[4600];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path + under_length);
    if (syscall(SYS_write, log_fd, line, (size_t)length) != length) abort();
}

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

/* Counts a call; whether it is to fail. Nobody else gets on while one is about to kill. */
static int counted(const char *call, const char *path, int fd, const void *bytes, size_t length, off_t at) {
    int fails = 0;
    pthread_mutex_lock(&lock);
    long number = ++calls;
    say(number, call, path);
    if (fd >= 0 && fd < FILES && unsynced[fd]) say(number, "used-after-failed-sync", path);
    if (number == hit_at) {
        if (error) {
            say(number, "failed", path);
            fails = 1;
        } else {
            if (torn && bytes && length > 1) {
                if (at < 0) syscall(SYS_write, fd, bytes, length / 2);
                else syscall(SYS_pwrite64, fd, bytes, length / 2, at);
            }
            die();
        }
    }
    pthread_mutex_unlock(&lock);
    if (fails) errno = error;
    return fails;
}

#define NEXT(type, name, ...) \
    static type (*next)(__VA_ARGS__); \
    if (!next) next = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int opens(const char *name, int folder, const char *path, int flags, mode_t mode) {
    NEXT(int, "openat64", int, const char *, int, ...);
    (void)name;
    int written = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
    if (written && counts(path) && counted("open", path, -1, NULL, 0, -1)) return -1;
    int fd = next(folder, path, flags, mode);
    if (fd >= 0 && fd < FILES) unsynced[fd] = 0;
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return opens(#name, AT_FDCWD, path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return opens(#name, folder, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *bytes, size_t length) {
    char path[4096];
    NEXT(ssize_t, "write", int, const void *, size_t);
    if (log_fd >= 0 && path_of(fd, path, sizeof path) && counted("write", path, fd, bytes, length, -1)) return -1;
    return next(fd, bytes, length);
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *bytes, size_t length, off_t at) { \
        char path[4096]; \
        NEXT(ssize_t, "pwrite64", int, const void *, size_t, off_t); \
        if (log_fd >= 0 && path_of(fd, path, sizeof path) && counted("pwrite", path, fd, bytes, length, at)) return -1; \
        return next(fd, bytes, length, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define ON_FD(name, call, same, parameters, arguments) \
    int name parameters { \
        char path[4096]; \
        NEXT(int, same, ON_FD_TYPES_##call); \
        if (log_fd >= 0 && path_of(fd, path, sizeof path) && counted(#call, path, fd, NULL, 0, -1)) return -1; \
        return next arguments; \
    }
#define ON_FD_TYPES_ftruncate int, off_t
#define ON_FD_TYPES_fallocate int, int, off_t, off_t
ON_FD(ftruncate, ftruncate, "ftruncate64", (int fd, off_t length), (fd, length))
ON_FD(ftruncate64, ftruncate, "ftruncate64", (int fd, off_t length), (fd, length))
ON_FD(fallocate, fallocate, "fallocate64", (int fd, int mode, off_t at, off_t length), (fd, mode, at, length))
ON_FD(fallocate64, fallocate, "fallocate64", (int fd, int mode, off_t at, off_t length), (fd, mode, at, length))

#define SYNC(name) \
    int name(int fd) { \
        char path[4096]; \
        NEXT(int, #name, int); \
        if (log_fd >= 0 && path_of(fd, path, sizeof path) && counted(#name, path, fd, NULL, 0, -1)) { \
            if (fd < FILES) unsynced[fd] = 1; \
            return -1; \
        } \
        return next(fd); \
    }
SYNC(fsync)
SYNC(fdatasync)

int close(int fd) {
    NEXT(int, "close", int);
    if (fd >= 0 && fd < FILES) unsynced[fd] = 0;
    return next(fd);
}

int rename(const char *from, const char *to) {
    NEXT(int, "rename", const char *, const char *);
    if (counts(to) && counted("rename", to, -1, NULL, 0, -1)) return -1;
    return next(from, to);
}

int unlink(const char *path) {
    NEXT(int, "unlink", const char *);
    if (counts(path) && counted("unlink", path, -1, NULL, 0, -1)) return -1;
    return next(path);
}

int mkdir(const char *path, mode_t mode) {
    NEXT(int, "mkdir", const char *, mode_t);
    if (counts(path) && counted("mkdir", path, -1, NULL, 0, -1)) return -1;
    return next(path, mode);
}
