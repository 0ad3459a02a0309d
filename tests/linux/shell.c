/* A shell for Linux without an MMU, as its first process: no C library, system calls alone (RV32). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MOUNT = 40, OPENAT = 56, CLOSE = 57, GETDENTS64 = 61, READ = 63, WRITE = 64, EXIT = 93, WAITID = 95, SYSLOG = 116,
    REBOOT = 142, UNAME = 160, CLONE = 220, EXECVE = 221, CLOCK_NANOSLEEP = 407,
};
enum { AT_FDCWD = -100, O_DIRECTORY = 0200000, CLOCK_MONOTONIC = 1, P_PID = 1, WEXITED = 4, SIGCHLD = 17 };
enum { CLONE_VM = 0x100, CLONE_VFORK = 0x4000 };
enum { CONSOLE_LEVEL = 8, WARNINGS = 4 };
enum { LINE = 256, WORDS = 16, BUFFER = 1024 };
#define REBOOT_MAGIC 0xfee1dead
#define REBOOT_MAGIC_2 672274793
#define POWER_OFF 0x4321fedc
#define RESTART 0x01234567

static long call(long number, long a, long b, long c, long d, long e) {
    register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d, a4 __asm__("a4") = e;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4) : "memory");
    return a0;
}

/* -- text ------------------------------------------------------------------------------------------------------------- */

void *memset(void *to, int value, size_t size) {
    for (char *byte = to; size--; byte++)
        *byte = (char)value;
    return to;
}

void *memcpy(void *to, const void *from, size_t size) {
    for (char *byte = to; size--; byte++)
        *byte = *(const char *)from++;
    return to;
}

static size_t length(const char *text) {
    size_t size = 0;
    while (text[size])
        size++;
    return size;
}

static bool same(const char *a, const char *b) {
    for (; *a && *a == *b; a++, b++)
        ;
    return *a == *b;
}

static void say(const char *text) {
    call(WRITE, 1, (long)text, (long)length(text), 0, 0);
}

static void say_number(long number) {
    char digits[12], *at = digits + sizeof digits - 1;
    bool negative = number < 0;
    *at = 0;
    do
        *--at = (char)('0' + (negative ? -(number % 10) : number % 10));
    while (number /= 10);
    if (negative)
        *--at = '-';
    say(at);
}

static long number_of(const char *text) {
    long value = 0;
    while (text && *text >= '0' && *text <= '9')
        value = value * 10 + *text++ - '0';
    return value;
}

static int failed(const char *what, long error) {
    say(what);
    say(": error ");
    say_number(-error);
    say("\n");
    return 1;
}

/* -- commands: arguments end with a null pointer ---------------------------------------------------------------------- */

static int echo(char **arguments) {
    for (; *arguments; arguments++) {
        say(*arguments);
        say(arguments[1] ? " " : "");
    }
    say("\n");
    return 0;
}

static int show(const char *path) {
    static char buffer[BUFFER];
    long file = call(OPENAT, AT_FDCWD, (long)path, 0, 0, 0), size;
    if (file < 0)
        return failed(path, file);
    while ((size = call(READ, file, (long)buffer, sizeof buffer, 0, 0)) > 0)
        call(WRITE, 1, (long)buffer, size, 0, 0);
    call(CLOSE, file, 0, 0, 0, 0);
    return size < 0 ? failed(path, size) : 0;
}

static int cat(char **arguments) {
    int status = 0;
    for (; *arguments; arguments++)
        status |= show(*arguments);
    return status;
}

static int uptime(char **arguments) {
    return show("/proc/uptime");
}

static int cpuinfo(char **arguments) {
    return show("/proc/cpuinfo");
}

struct entry {
    uint64_t inode, offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static int ls(char **arguments) {
    static _Alignas(struct entry) char buffer[BUFFER];
    const char *path = *arguments ? *arguments : "/";
    long file = call(OPENAT, AT_FDCWD, (long)path, O_DIRECTORY, 0, 0), size;
    if (file < 0)
        return failed(path, file);
    while ((size = call(GETDENTS64, file, (long)buffer, sizeof buffer, 0, 0)) > 0)
        for (long at = 0; at < size; at += ((struct entry *)(buffer + at))->size) {
            say(((struct entry *)(buffer + at))->name);
            say("\n");
        }
    call(CLOSE, file, 0, 0, 0, 0);
    return size < 0 ? failed(path, size) : 0;
}

static int sleep_(char **arguments) {
    int64_t span[2] = {number_of(*arguments), 0};
    return call(CLOCK_NANOSLEEP, CLOCK_MONOTONIC, 0, (long)span, 0, 0) < 0;
}

/* Work for the CPU: how many primes there are below a number. */
static int primes(char **arguments) {
    long limit = number_of(*arguments), count = 0;
    for (long candidate = 2; candidate < limit; candidate++) {
        long divisor = 2;
        while (divisor * divisor <= candidate && candidate % divisor)
            divisor++;
        count += divisor * divisor > candidate;
    }
    say_number(count);
    say("\n");
    return 0;
}

static int uname_(char **arguments) {
    enum { FIELDS = 6, FIELD = 65 };
    static char names[FIELDS][FIELD];
    call(UNAME, (long)names, 0, 0, 0, 0);
    for (int field = 0; field < FIELDS - 1; field++) {
        say(names[field]);
        say(field < FIELDS - 2 ? " " : "\n");
    }
    return 0;
}

static int illegal(char **arguments) {
    __asm__ volatile(".word 0");
    return 0;
}

static int nowhere(char **arguments) {
    __asm__ volatile("sw zero, 64(zero)" ::: "memory");
    return 0;
}

static int end(unsigned how) {
    return failed("reboot", call(REBOOT, (long)REBOOT_MAGIC, REBOOT_MAGIC_2, (long)how, 0, 0));
}

static int poweroff(char **arguments) {
    return end(POWER_OFF);
}

static int reboot(char **arguments) {
    return end(RESTART);
}

/* -- processes -------------------------------------------------------------------------------------------------------- */

/* The child runs on the parent's stack until it is another program, so it does so in this very function. */
static __attribute__((noinline)) long start(char **arguments) {
    long child = call(CLONE, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        call(EXECVE, (long)"/init", (long)arguments, 0, 0, 0);
        call(EXIT, 127, 0, 0, 0, 0);
    }
    return child;
}

/* A command in a process of its own; how it ended. */
static int spawn(char **arguments) {
    int information[32] = {0};
    long child = start(arguments - 1);
    if (child < 0)
        return failed("clone", child);
    call(WAITID, P_PID, child, (long)information, WEXITED, 0);
    say(information[2] == 1 ? "ended with status " : "killed by signal ");
    say_number(information[5]);
    say("\n");
    return 0;
}

static int help(char **arguments);

static const struct command {
    const char *name;
    int (*run)(char **arguments);
} commands[] = {
    {"cat", cat}, {"cpuinfo", cpuinfo}, {"echo", echo}, {"help", help}, {"illegal", illegal}, {"ls", ls},
    {"nowhere", nowhere}, {"poweroff", poweroff}, {"primes", primes}, {"reboot", reboot}, {"sleep", sleep_},
    {"spawn", spawn}, {"uname", uname_}, {"uptime", uptime},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int help(char **arguments) {
    for (int number = 0; number < COMMANDS; number++) {
        say(commands[number].name);
        say(number < COMMANDS - 1 ? " " : "\n");
    }
    return 0;
}

static int run(char **words) {
    for (int number = 0; number < COMMANDS; number++)
        if (same(words[0], commands[number].name))
            return commands[number].run(words + 1);
    say(words[0]);
    say(": not found\n");
    return 127;
}

static void split(char *line, char **words) {
    int count = 0;
    while (*line && count < WORDS - 1) {
        while (*line == ' ')
            *line++ = 0;
        if (*line)
            words[count++] = line;
        while (*line && *line != ' ')
            line++;
    }
    words[count] = NULL;
}

static __attribute__((noreturn)) void interact(void) {
    static char line[LINE];
    static char *words[WORDS];
    long size;
    say("# ");
    while ((size = call(READ, 0, (long)line, LINE - 1, 0, 0)) > 0) {
        line[size - (line[size - 1] == '\n')] = 0;
        split(line, words);
        if (words[0])
            run(words);
        say("# ");
    }
    for (;;)
        poweroff(NULL);
}

__attribute__((used)) static void begin(long *stack) {
    char **arguments = (char **)(stack + 1);
    if (stack[0] > 1)
        call(EXIT, run(arguments + 1), 0, 0, 0, 0);
    call(MOUNT, (long)"proc", (long)"/proc", (long)"proc", 0, 0);
    call(MOUNT, (long)"sysfs", (long)"/sys", (long)"sysfs", 0, 0);
    call(SYSLOG, CONSOLE_LEVEL, 0, WARNINGS, 0, 0); /* its messages would stand in the middle of typed commands */
    say("\n");
    show("/etc/motd");
    interact();
}

__asm__(".section .start, \"ax\"\n .globl _start\n _start: mv a0, sp\n tail begin\n");
