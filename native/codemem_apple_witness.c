/* One MAP_JIT region, opened for the calling thread by BrowserEngineCore's inlined toggles ("Protecting code compiled just in
 * time"), which on arm64e sign where they were called from.
 *
 * They stand in the critical section itself, and all it works with are registers. The framework is not linked: its functions
 * are weak, and there where the program has loaded it. Programs that may use it are alternative browser engines; so "auto"
 * does not take it.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "policy.h"

#if __has_include(<BrowserEngineCore/BEMemory.h>)

#include <BrowserEngineCore/BEMemory.h>

#include "apple/region.h"

#if defined(__APPLE__) /* what the inlined assembly names does not become weak by its declaration */
__asm__(".weak_reference _be_memory_inline_jit_restrict_rwx_to_rw_with_witness_impl\n"
        ".weak_reference _be_memory_inline_jit_restrict_rwx_to_rx_with_witness_impl\n");
#endif

__typeof__(be_memory_inline_jit_restrict_with_witness_supported) be_memory_inline_jit_restrict_with_witness_supported
    __attribute__((weak));

static const char *map_region(struct dr_region *region, size_t size) {
    if (__builtin_available(macOS 14.4, *)) {
        if (!be_memory_inline_jit_restrict_with_witness_supported)
            return "the program has not loaded BrowserEngineCore";
        if (!be_memory_inline_jit_restrict_with_witness_supported())
            return "BrowserEngineCore does not support it here: it is for the web content extensions of browsers";
        return dr_map_jit(region, size);
    }
    return "needs macOS 14.4 or later";
}

static const char *write_batch(struct dr_region *region, const struct dr_staged *staged) {
    uint8_t *writable = region->writable;
    const uint32_t *start = staged->start, *end = staged->end;
    if (__builtin_available(macOS 14.4, *)) {
        be_memory_inline_jit_restrict_rwx_to_rw_with_witness();
        dr_copy_records(writable, start, end);
        be_memory_inline_jit_restrict_rwx_to_rx_with_witness();
        return NULL;
    }
    return "needs macOS 14.4 or later";
}

static void unmap_region(struct dr_region *region) {
    munmap(region->run, region->size);
}

#else

#define MISSING "not in this build: the system's headers had no BrowserEngineCore/BEMemory.h"

static const char *map_region(struct dr_region *region, size_t size) {
    (void)region, (void)size;
    return MISSING;
}

static const char *write_batch(struct dr_region *region, const struct dr_staged *staged) {
    (void)region, (void)staged;
    return MISSING;
}

static void unmap_region(struct dr_region *region) {
    (void)region;
}

#endif

const struct dr_policy dr_policy_apple_witness = {
    "apple-witness", DR_BY_NAME, map_region, write_batch, dr_flush_instructions, dr_read_directly, unmap_region,
};
