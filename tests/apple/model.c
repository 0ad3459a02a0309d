#include "model.h"

#undef __builtin___clear_cache
#undef mmap
#undef munmap
#undef mprotect
#undef dlopen
#undef dlsym

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define LARGEST ((size_t)16 << 20) /* so that looking for what changed takes no time */
#define MOST_PAGES 4096
#define MOST_REGIONS 4

struct jit {
    uint8_t *start; /* NULL: none */
    size_t size;
    uint8_t *flushed;           /* the instruction side: what was there when it was last flushed */
    uint8_t open[MOST_PAGES];   /* pages that were touched in write mode */
    uint8_t stale[MOST_PAGES];  /* pages that are not as they were flushed */
};

static struct jit regions[MOST_REGIONS];
static size_t page;
static bool asked, frozen, written, refused;
static bool someone_writes;
static _Thread_local bool writes, in_callback;

/* -- the process ----------------------------------------------------------------------------------------------------- */

static bool has(const char *word) {
    const char *words = getenv("MODEL");
    size_t length = strlen(word);
    for (const char *at = words; at && (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

static void say(const char *format, va_list arguments) {
    char line[256];
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    line[length] = '\n';
    if (write(STDERR_FILENO, "model: ", 7) < 0 || write(STDERR_FILENO, line, (size_t)length + 1) < 0)
        _exit(1);
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    signal(SIGABRT, SIG_DFL);
    abort();
}

__attribute__((format(printf, 2, 3))) static int refuse(int error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    errno = error;
    return -1;
}

static unsigned version_of(const char *text) {
    unsigned major = 0, minor = 0;
    sscanf(text, "%u.%u", &major, &minor);
    return major * 100 + minor;
}

static unsigned system_version(void) {
    const char *words = getenv("MODEL"), *found = words ? strstr(words, "macos=") : NULL;
    return found ? version_of(found + strlen("macos=")) : version_of("15.2");
}

int model_available(const char *platforms) {
    const char *macos = strstr(platforms, "macOS ");
    return macos && system_version() >= version_of(macos + strlen("macOS "));
}

static void need(const char *version, const char *function) {
    if (system_version() < version_of(version))
        die("%s was called, which this macOS does not have", function);
}

/* -- pages ----------------------------------------------------------------------------------------------------------- */

static struct jit *region_at(const void *address) {
    for (struct jit *jit = regions; jit < regions + MOST_REGIONS; jit++)
        if (jit->start && (uintptr_t)address - (uintptr_t)jit->start < jit->size)
            return jit;
    return NULL;
}

static void protect(uint8_t *start, size_t length, int protection) {
    if (mprotect(start, length, protection))
        die("mprotect of the model itself failed: %s", strerror(errno));
}

static bool is_flushed(const struct jit *jit, size_t number) {
    return memcmp(jit->start + number * page, jit->flushed + number * page, page) == 0;
}

/* Out of write mode: a page is executable if it is flushed. */
static void close_page(struct jit *jit, size_t number) {
    jit->stale[number] = !is_flushed(jit, number);
    protect(jit->start + number * page, page, jit->stale[number] ? PROT_READ : PROT_READ | PROT_EXEC);
}

static void enter_write_mode(void) {
    if (writes)
        die("a nested toggle: the thread is in write mode already");
    if (__atomic_exchange_n(&someone_writes, true, __ATOMIC_SEQ_CST))
        die("two threads are in write mode");
    writes = true;
    for (struct jit *jit = regions; jit < regions + MOST_REGIONS; jit++)
        if (jit->start)
            protect(jit->start, jit->size, PROT_NONE); /* until this thread touches a page */
}

static void leave_write_mode(void) {
    if (!writes)
        die("a nested toggle: the thread is not in write mode");
    for (struct jit *jit = regions; jit < regions + MOST_REGIONS; jit++) {
        if (!jit->start)
            continue;
        protect(jit->start, jit->size, PROT_READ | PROT_EXEC);
        for (size_t number = 0; number < jit->size / page; number++)
            if (jit->open[number] || jit->stale[number])
                close_page(jit, number);
        memset(jit->open, 0, sizeof jit->open);
    }
    writes = false;
    __atomic_store_n(&someone_writes, false, __ATOMIC_SEQ_CST);
}

static uintptr_t interrupted_at(const void *context) {
#if defined(__x86_64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#endif
}

static void executed(const struct jit *jit, size_t offset) {
    if (writes)
        die("code was executed in write mode, at +%zu", offset);
    if (someone_writes)
        die("two threads use the region: one executes, one writes");
    if (!is_flushed(jit, offset / page))
        die("code was executed that was not flushed, at +%zu", offset);
    die("code cannot be executed at +%zu", offset);
}

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)number;
    struct jit *jit = region_at(info->si_addr);
    if (!jit)
        die(refused ? "what a refused mmap returned was used" : "a fault outside of the region");
    size_t offset = (size_t)((uint8_t *)info->si_addr - jit->start);
    if (interrupted_at(context) == (uintptr_t)info->si_addr)
        executed(jit, offset);
    if (!writes)
        die(someone_writes ? "a thread touched the region while another one was in write mode"
                           : "the region was written by a thread that is not in write mode, at +%zu", offset);
    if (jit->open[offset / page])
        die("a fault on a page that is open");
    jit->open[offset / page] = 1;
    protect(jit->start + offset / page * page, page, PROT_READ | PROT_WRITE);
}

__attribute__((constructor)) static void start(void) {
    page = (size_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
}

void model_check_closed(void) {
    if (writes)
        die("the thread was left in write mode");
}

/* -- mmap(2) --------------------------------------------------------------------------------------------------------- */

static int check_flags(int protection, int flags, int file, bool more) {
    if (flags & MAP_SHARED)
        return refuse(EINVAL, "MAP_JIT with MAP_SHARED");
    if (flags & MAP_FIXED)
        return refuse(EINVAL, "MAP_JIT with MAP_FIXED");
    if (!(flags & MAP_ANONYMOUS) || file != -1)
        return refuse(EINVAL, "MAP_JIT with a file");
    if (protection != (PROT_READ | PROT_WRITE | PROT_EXEC))
        return refuse(EACCES, "MAP_JIT without all of read, write and execute");
    if (has("hardened") && !has("allow-jit"))
        return refuse(EPERM, "MAP_JIT in a hardened process without the entitlement allow-jit");
    if (has("hardened") && more)
        return refuse(EINVAL, "a second MAP_JIT region in a hardened process");
    if (!asked)
        die("MAP_JIT without having asked whether write protection is supported");
    return 0;
}

static bool any_region(void) {
    for (int i = 0; i < MOST_REGIONS; i++)
        if (regions[i].start)
            return true;
    return false;
}

static struct jit *free_region(void) {
    for (int i = 0; i < MOST_REGIONS; i++)
        if (!regions[i].start)
            return &regions[i];
    die("more regions than the model has room for");
}

static void *map_jit(size_t length, int protection, int flags, int file) {
    refused = true;
    if (check_flags(protection, flags, file, any_region()))
        return MAP_FAILED;
    if (length > LARGEST || length / page > MOST_PAGES) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    struct jit *jit = free_region();
    int private = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    jit->flushed = mmap(NULL, length, PROT_READ | PROT_WRITE, private, -1, 0);
    jit->start = mmap(NULL, length, PROT_READ | PROT_EXEC, private, -1, 0);
    if (jit->start == MAP_FAILED || jit->flushed == MAP_FAILED)
        die("no memory for the region");
    jit->size = length;
    refused = false;
    return jit->start;
}

void *model_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    if (flags & MAP_JIT)
        return map_jit(length, protection, flags, file);
    if (protection & PROT_EXEC && has("hardened")) {
        refuse(EPERM, "executable memory without MAP_JIT in a hardened process");
        return MAP_FAILED;
    }
    return mmap(address, length, protection, flags, file, offset);
}

int model_munmap(void *address, size_t length) {
    struct jit *jit = region_at(address);
    if (!jit)
        return munmap(address, length);
    model_check_closed();
    if (address != jit->start || length != jit->size)
        die("a part of the region was unmapped");
    munmap(jit->flushed, length);
    memset(jit, 0, sizeof *jit);
    return munmap(address, length);
}

int model_mprotect(void *address, size_t length, int protection) {
    if (region_at(address))
        return refuse(EACCES, "mprotect of a MAP_JIT region");
    if (protection & PROT_EXEC && has("hardened"))
        return refuse(EPERM, "executable memory without MAP_JIT in a hardened process");
    return mprotect(address, length, protection);
}

/* -- pthread_jit_write_protect_np(3) --------------------------------------------------------------------------------- */

int pthread_jit_write_protect_supported_np(void) {
    need("11.0", "pthread_jit_write_protect_supported_np");
    asked = true;
    return !has("unsupported");
}

void pthread_jit_write_protect_np(int enabled) {
    need("11.0", "pthread_jit_write_protect_np");
    if (has("unsupported"))
        die("a toggle where write protection is not supported: the region is writable and executable");
    if (has("allowlist"))
        die("the plain toggle in a process with the entitlement jit-write-allowlist");
    if (in_callback)
        die("a nested toggle: in a callback");
    enabled ? leave_write_mode() : enter_write_mode();
    written = true;
}

static bool is_listed(pthread_jit_write_callback_t callback) {
    bool found = false;
    unsigned lists = 0;
    for (const pthread_jit_write_callback_t *at = model_callbacks; at && at < model_callbacks_end; at++) {
        found = found || (*at && *at == callback);
        lists += !*at;
    }
    if (lists > 1)
        die("more than one list of callbacks in an image");
    return found;
}

int pthread_jit_write_with_callback_np(pthread_jit_write_callback_t callback, void *context) {
    need("11.4", "pthread_jit_write_with_callback_np");
    if (in_callback || writes)
        die("a nested toggle: a callback within another");
    if (!is_listed(callback))
        die("a callback that is not listed");
    if (has("allowlist") && !has("freeze-late"))
        die("a callback of an image that was loaded with dlopen, without the entitlement for a late freeze");
    if (has("freeze-late") && !frozen)
        die("a write before the freeze");
    written = true;
    enter_write_mode();
    in_callback = true;
    int result = callback(context);
    in_callback = false;
    leave_write_mode();
    return result;
}

void pthread_jit_write_freeze_callbacks_np(void) {
    need("12.1", "pthread_jit_write_freeze_callbacks_np");
    if (!has("freeze-late"))
        die("a freeze without the entitlement for it");
    if (frozen)
        die("a second freeze");
    if (written)
        die("a freeze after the first write");
    frozen = true;
}

/* -- libkern/OSCacheControl.h ---------------------------------------------------------------------------------------- */

void sys_icache_invalidate(void *start, size_t length) {
    struct jit *jit = region_at(start);
    if (!jit && !any_region()) { /* a scheme without MAP_JIT */
        __builtin___clear_cache((char *)start, (char *)start + length);
        return;
    }
    if (!jit || !length)
        die("a flush of something that is not in the region");
    size_t offset = (size_t)((uint8_t *)start - jit->start), first = offset / page, last = (offset + length - 1) / page;
    if (length > jit->size - offset)
        die("a flush that leaves the region");
    model_check_closed();
    memcpy(jit->flushed + offset, start, length);
    for (size_t number = first; number <= last; number++)
        close_page(jit, number);
    __builtin___clear_cache((char *)start, (char *)start + length);
}

/* -- Security, CoreFoundation ---------------------------------------------------------------------------------------- */

static const void *make_string(const void *allocator, const char *text, uint32_t encoding) {
    return allocator || encoding != 0x0600 ? NULL : text;
}

static const void *task_of_self(const void *allocator) {
    return allocator ? NULL : "task";
}

static const void *entitlement(const void *task, const void *name, const void **error) {
    static const char prefix[] = "com.apple.security.cs.";
    const char *rest = (const char *)name + strlen(prefix);
    (void)task, (void)error;
    if (strncmp(name, prefix, strlen(prefix)))
        return NULL;
    if (strcmp(rest, "jit-write-allowlist") == 0)
        return has("allowlist") ? "true" : NULL;
    if (strcmp(rest, "jit-write-allowlist-freeze-late") == 0)
        return has("freeze-late") ? "true" : NULL;
    return NULL;
}

static unsigned long type_of(const void *object) {
    return strcmp(object, "true") == 0;
}

static unsigned long boolean_type(void) {
    return 1;
}

static unsigned char boolean_value(const void *object) {
    return strcmp(object, "true") == 0;
}

static void release(const void *object) {
    (void)object;
}

void *model_dlopen(const char *path, int mode) {
    (void)mode;
    return strstr(path, "/Security.framework/") || strstr(path, "/CoreFoundation.framework/") ? (void *)path : NULL;
}

void *model_dlsym(void *library, const char *name) {
    static const struct {
        const char *library, *name;
        void *function;
    } functions[] = {
        {"CoreFoundation", "CFStringCreateWithCString", make_string}, {"CoreFoundation", "CFGetTypeID", type_of},
        {"CoreFoundation", "CFBooleanGetTypeID", boolean_type},       {"CoreFoundation", "CFBooleanGetValue", boolean_value},
        {"CoreFoundation", "CFRelease", release},                     {"Security", "SecTaskCreateFromSelf", task_of_self},
        {"Security", "SecTaskCopyValueForEntitlement", entitlement},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0 && strstr(library, functions[i].library))
            return functions[i].function;
    return NULL;
}

/* -- BrowserEngineCore/BEMemory.h ------------------------------------------------------------------------------------ */

static bool witness_asked;

int be_memory_inline_jit_restrict_with_witness_supported(void) {
    need("14.4", "be_memory_inline_jit_restrict_with_witness_supported");
    witness_asked = true;
    return has("witness");
}

__attribute__((used, visibility("hidden"))) void model_witness(int enabled) {
    if (!witness_asked || !has("witness"))
        die("a toggle of BrowserEngineCore where it is not supported, or without having asked");
    enabled ? leave_write_mode() : enter_write_mode();
    written = true;
}

#if defined(__aarch64__)

/* The header says what these change: x0 to x8, x16, x17, x30 and the flags. */
#define SAVE_PAIR(first, second) "stp " first ", " second ", [sp, #-16]!\n"
#define LOAD_PAIR(first, second) "ldp " first ", " second ", [sp], #16\n"
#define SAVE_WIDE(first, second) "stp " first ", " second ", [sp, #-32]!\n"
#define LOAD_WIDE(first, second) "ldp " first ", " second ", [sp], #32\n"
#define EACH_WIDE(action) action("q0", "q1") action("q2", "q3") action("q4", "q5") action("q6", "q7") \
    action("q16", "q17") action("q18", "q19") action("q20", "q21") action("q22", "q23") action("q24", "q25") \
    action("q26", "q27") action("q28", "q29") action("q30", "q31")
#define EACH_WIDE_BACK(action) action("q30", "q31") action("q28", "q29") action("q26", "q27") action("q24", "q25") \
    action("q22", "q23") action("q20", "q21") action("q18", "q19") action("q16", "q17") action("q6", "q7") \
    action("q4", "q5") action("q2", "q3") action("q0", "q1")
#define WITNESS(name, enabled)                                                                           \
    __asm__(".text\n.globl " name "\n.type " name ", %function\n" name ":\n"                             \
            SAVE_PAIR("x29", "x30") SAVE_PAIR("x9", "x10") SAVE_PAIR("x11", "x12") SAVE_PAIR("x13", "x14") \
            SAVE_PAIR("x15", "x18") EACH_WIDE(SAVE_WIDE) "mov w0, #" enabled "\nbl model_witness\n"      \
            EACH_WIDE_BACK(LOAD_WIDE) LOAD_PAIR("x15", "x18") LOAD_PAIR("x13", "x14")                    \
            LOAD_PAIR("x11", "x12") LOAD_PAIR("x9", "x10") LOAD_PAIR("x29", "x30") "ret\n")

WITNESS("be_memory_inline_jit_restrict_rwx_to_rw_with_witness_impl", "0");
WITNESS("be_memory_inline_jit_restrict_rwx_to_rx_with_witness_impl", "1");

#else

void be_memory_inline_jit_restrict_rwx_to_rw_with_witness_impl(void) {
    model_witness(0);
}

void be_memory_inline_jit_restrict_rwx_to_rx_with_witness_impl(void) {
    model_witness(1);
}

#endif
