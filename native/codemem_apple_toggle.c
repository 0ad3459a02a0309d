/* One MAP_JIT region, opened for the calling thread alone by pthread_jit_write_protect_np (its man page, section 3).
 *
 * On Apple silicon the pages are executable, and writable only for a thread that has asked; where the system does not
 * support that (pthread_jit_write_protect_supported_np), MAP_JIT pages are both at once and the calls do nothing: refused.
 * mprotect on such a region fails from macOS 11.2 on, so nothing here uses it.
 */
#include <errno.h>
#include <libkern/OSCacheControl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "codemem.h"

static const char *map_region(struct dr_codemem *memory, size_t size) {
    if (__builtin_available(macOS 11.0, *)) {
        if (!pthread_jit_write_protect_supported_np())
            return "the system has no per-thread write protection";
    } else {
        return "needs macOS 11 or later";
    }
    void *region =
        mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_JIT, -1, 0);
    if (region == MAP_FAILED)
        return "MAP_JIT was refused: a hardened Python needs the entitlement com.apple.security.cs.allow-jit";
    memory->run = region;
    return NULL;
}

static const char *write_batch(struct dr_codemem *memory, const struct dr_patch *patches, size_t count) {
    if (__builtin_available(macOS 11.0, *)) {
        pthread_jit_write_protect_np(0);
        dr_codemem_copy(memory->run, patches, count);
        pthread_jit_write_protect_np(1);
        return NULL;
    }
    return "needs macOS 11 or later";
}

static void unmap_region(struct dr_codemem *memory) {
    munmap(memory->run, memory->size);
}

const struct dr_policy dr_policy_apple_toggle = {"apple-toggle", map_region, write_batch, unmap_region};
