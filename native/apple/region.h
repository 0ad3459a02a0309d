/* The MAP_JIT region of the Apple policies: a hardened program is allowed one. */
#ifndef DR_APPLE_REGION_H
#define DR_APPLE_REGION_H

#include <pthread.h>
#include <sys/mman.h>

#include "policy.h"

/* NULL, or why not. What mmap answers is MAP_FAILED, not NULL, and says nothing of the reason that a user could act on. */
static inline const char *dr_map_jit(struct dr_region *region, size_t size) {
    if (__builtin_available(macOS 11.0, *)) {
        if (!pthread_jit_write_protect_supported_np())
            return "the system has no per-thread write protection";
    } else {
        return "needs macOS 11 or later";
    }
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_JIT, -1, 0);
    if (pages == MAP_FAILED)
        return "MAP_JIT was refused: a hardened Python needs the entitlement com.apple.security.cs.allow-jit, and may have "
               "one such region";
    region->run = region->writable = pages;
    return NULL;
}

#endif
