/* gs holds the window's base while this thread runs generated code: Linux leaves gs to programs (arch_prctl(2)). */
#include <asm/prctl.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core.h"

#define HWCAP2_FSGSBASE_BIT 2 /* the kernel allows wrgsbase in programs (Linux, asm/hwcap2.h) */

const char *dr_window_bind(const struct dr_core *core) {
    uint64_t base = (uint64_t)core->memory.base;
    if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) {
        __asm__ volatile("wrgsbase %0" : : "r"(base));
        return NULL;
    }
    return syscall(SYS_arch_prctl, ARCH_SET_GS, base) ? strerror(errno) : NULL;
}
