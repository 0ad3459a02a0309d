/* One MAP_JIT region, opened for the calling thread alone by pthread_jit_write_protect_np (its man page, section 3).
 *
 * On Apple silicon the pages are executable, and writable only for a thread that has asked; where the system does not
 * support that (pthread_jit_write_protect_supported_np), MAP_JIT pages are both at once and the calls do nothing: refused.
 * mprotect on such a region fails from macOS 11.2 on, so nothing here uses it. In a process whose callbacks are checked the
 * call is disabled and ends the process: refused too.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "apple/entitlements.h"
#include "apple/region.h"
#include "policy.h"

static const char *map_region(struct dr_region *region, size_t size) {
    struct dr_entitlements entitlements = dr_apple_entitlements();
    if (!entitlements.known)
        return "the system does not say which entitlements this Python has";
    if (entitlements.write_allowlist)
        return "this Python has the entitlement com.apple.security.cs.jit-write-allowlist, which leaves apple-callback alone";
    return dr_map_jit(region, size);
}

static const char *write_batch(struct dr_region *region, const struct dr_staged *staged) {
    uint8_t *writable = region->writable;
    const uint32_t *start = staged->start, *end = staged->end;
    if (__builtin_available(macOS 11.0, *)) {
        pthread_jit_write_protect_np(0);
        dr_copy_records(writable, start, end);
        pthread_jit_write_protect_np(1);
        return NULL;
    }
    return "needs macOS 11 or later";
}

static void unmap_region(struct dr_region *region) {
    munmap(region->run, region->size);
}

const struct dr_policy dr_policy_apple_toggle = {
    "apple-toggle", DR_EXPECTED, map_region, write_batch, dr_flush_instructions, dr_read_directly, unmap_region,
};
