/*
 * The part of the C library that talks to the machine: Linux system calls by `ecall` (number in a7, arguments in a0..a5,
 * result or -errno in a0), standard streams over read and write, start and end of the program.
 *
 * The numbers and layouts are those of the 32-bit RISC-V Linux kernel (include/uapi/asm-generic/unistd.h), which has
 * 64-bit times only and `_llseek` with five arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio-bufio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum Syscall {
    SYS_IOCTL = 29,
    SYS_UNLINKAT = 35,
    SYS_OPENAT = 56,
    SYS_CLOSE = 57,
    SYS_LLSEEK = 62,
    SYS_READ = 63,
    SYS_WRITE = 64,
    SYS_EXIT = 93,
    SYS_BRK = 214,
    SYS_STATX = 291,
    SYS_CLOCK_GETTIME64 = 403,
};

enum {
    LINUX_AT_FDCWD = -100,
    LINUX_AT_EMPTY_PATH = 0x1000,
    LINUX_TCGETS = 0x5401,
    STATX_BASIC_STATS = 0x7ff,
    LINUX_TERMIOS_ROOM = 64, /* more than sizeof(struct termios) */
    STREAM_BUFFER = 4096,
    HEAP_STEP = 0x10000,
};

/* Bits of open() as the kernel numbers them; the C library has its own. */
enum { LINUX_O_CREAT = 0x40, LINUX_O_EXCL = 0x80, LINUX_O_TRUNC = 0x200, LINUX_O_APPEND = 0x400 };

int main(int argc, char **argv, char **envp);
_Noreturn void user_start(uintptr_t *stack);

extern char _end[];
extern char **environ;
extern void (*__init_array_start[])(void), (*__init_array_end[])(void);
extern void (*__fini_array_start[])(void), (*__fini_array_end[])(void);

/* ---- system calls ---- */

static long system_call(long number, long a, long b, long c, long d, long e)
{
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
    return a0;
}

/* Turns -errno into errno and -1. */
static long checked(long result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

_Noreturn void _exit(int status)
{
    for (;;)
        system_call(SYS_EXIT, status, 0, 0, 0, 0);
}

ssize_t read(int fd, void *buffer, size_t size)
{
    return checked(system_call(SYS_READ, fd, (long)buffer, (long)size, 0, 0));
}

ssize_t write(int fd, const void *buffer, size_t size)
{
    return checked(system_call(SYS_WRITE, fd, (long)buffer, (long)size, 0, 0));
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    long linux_flags = flags & O_ACCMODE;
    va_start(rest, flags);
    long mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    linux_flags |= (flags & O_CREAT ? LINUX_O_CREAT : 0) | (flags & O_EXCL ? LINUX_O_EXCL : 0);
    linux_flags |= (flags & O_TRUNC ? LINUX_O_TRUNC : 0) | (flags & O_APPEND ? LINUX_O_APPEND : 0);
    return (int)checked(system_call(SYS_OPENAT, LINUX_AT_FDCWD, (long)path, linux_flags, mode, 0));
}

int close(int fd)
{
    return (int)checked(system_call(SYS_CLOSE, fd, 0, 0, 0, 0));
}

off_t lseek(int fd, off_t offset, int whence)
{
    int64_t result = 0;
    long status = system_call(SYS_LLSEEK, fd, (long)((int64_t)offset >> 32), (long)offset, (long)&result, whence);
    return checked(status) < 0 ? -1 : (off_t)result;
}

int unlink(const char *path)
{
    return (int)checked(system_call(SYS_UNLINKAT, LINUX_AT_FDCWD, (long)path, 0, 0, 0));
}

int isatty(int fd)
{
    char settings[LINUX_TERMIOS_ROOM];
    return checked(system_call(SYS_IOCTL, fd, LINUX_TCGETS, (long)settings, 0, 0)) == 0;
}

/* The head of the kernel's struct statx; the kernel writes 256 bytes. */
struct Statx {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, user, group;
    uint16_t mode, padding;
    uint64_t inode, size, blocks;
    uint8_t rest[200];
};

int fstat(int fd, struct stat *out)
{
    struct Statx found;
    if (checked(system_call(SYS_STATX, fd, (long)"", LINUX_AT_EMPTY_PATH, STATX_BASIC_STATS, (long)&found)) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    out->st_mode = found.mode;
    out->st_size = (off_t)found.size;
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int64_t time[2]; /* seconds, nanoseconds */
    if (checked(system_call(SYS_CLOCK_GETTIME64, (long)clock, (long)time, 0, 0, 0)) < 0)
        return -1;
    out->tv_sec = (time_t)time[0];
    out->tv_nsec = (long)time[1];
    return 0;
}

int gettimeofday(struct timeval *out, void *zone)
{
    enum { REALTIME = 0, NANOSECONDS_A_MICROSECOND = 1000 };
    struct timespec now;
    (void)zone;
    if (clock_gettime(REALTIME, &now) < 0)
        return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / NANOSECONDS_A_MICROSECOND;
    return 0;
}

/* Moves the end of the heap that the kernel grants; it answers with the end it has set, a refusal shows as another. */
static char *set_break(char *end)
{
    return (char *)system_call(SYS_BRK, (long)end, 0, 0, 0, 0);
}

/* malloc grows its heap here, often by a few bytes; the kernel is asked for HEAP_STEP at a time. */
void *sbrk(ptrdiff_t increment)
{
    static char *end, *granted;
    if (end == NULL)
        end = granted = set_break(NULL);
    char *old = end, *wanted = end + increment;
    if (wanted > granted) {
        char *step = wanted + HEAP_STEP;
        if (set_break(step) != step) {
            errno = ENOMEM;
            return (void *)-1;
        }
        granted = step;
    }
    end = wanted;
    return old;
}

/* ---- standard streams ---- */

static char input_buffer[STREAM_BUFFER], output_buffer[STREAM_BUFFER], error_buffer[STREAM_BUFFER];

static struct __file_bufio input =
    FDEV_SETUP_BUFIO(STDIN_FILENO, input_buffer, STREAM_BUFFER, read, write, lseek, close, __SRD, 0);
static struct __file_bufio output =
    FDEV_SETUP_BUFIO(STDOUT_FILENO, output_buffer, STREAM_BUFFER, read, write, lseek, close, __SWR, 0);
static struct __file_bufio errors =
    FDEV_SETUP_BUFIO(STDERR_FILENO, error_buffer, STREAM_BUFFER, read, write, lseek, close, __SWR, __BLBF);

FILE *const stdin = &input.xfile.cfile.file;
FILE *const stdout = &output.xfile.cfile.file;
FILE *const stderr = &errors.xfile.cfile.file;

static void flush_streams(void)
{
    fflush(stdout);
    fflush(stderr);
}

/* ---- start and end ---- */

static void run_all(void (**from)(void), void (**to)(void))
{
    for (; from < to; from++)
        (*from)();
}

static void run_destructors(void)
{
    run_all(__fini_array_start, __fini_array_end);
}

/* stack: argc, argv[0..argc-1], NULL, envp..., NULL, auxv. exit() runs what is registered here in reverse order. */
_Noreturn void user_start(uintptr_t *stack)
{
    int argc = (int)stack[0];
    char **argv = (char **)&stack[1];
    environ = argv + argc + 1;
    if (isatty(STDOUT_FILENO))
        output.bflags |= __BLBF;
    errno = 0;
    atexit(flush_streams);
    atexit(run_destructors);
    run_all(__init_array_start, __init_array_end);
    exit(main(argc, argv, environ));
}
