/* One region that only a thread with the key may write: Linux protection keys (pkeys(7)), the nearest thing to Apple's
 * per-thread toggle.
 *
 * To the page tables the region is readable, writable and executable; the rights register of each thread takes writing away.
 * New threads get the rights of their creator; threads that were there before the key may not even read.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "policy.h"

static const char *protect(struct dr_region *region, size_t size) {
    void *pages = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return strerror(errno);
    if (pkey_mprotect(pages, size, PROT_READ | PROT_WRITE | region->execute, region->key)) {
        const char *error = strerror(errno);
        munmap(pages, size);
        return error;
    }
    region->run = region->writable = pages;
    return NULL;
}

static const char *map_region(struct dr_region *region, size_t size) {
    region->key = pkey_alloc(0, PKEY_DISABLE_WRITE);
    if (region->key < 0)
        return errno == ENOSPC ? "all protection keys are taken, or the processor has none"
                               : "the processor or the system has no protection keys";
    const char *error = protect(region, size);
    if (error)
        (void)pkey_free(region->key);
    return error;
}

static const char *write_batch(struct dr_region *region, const struct dr_staged *staged) {
    if (pkey_set(region->key, 0))
        return strerror(errno);
    dr_copy_records(region->writable, staged->start, staged->end);
    return pkey_set(region->key, PKEY_DISABLE_WRITE) ? strerror(errno) : NULL;
}

/* The thread may be older than the key. */
static void read_code(const struct dr_region *region, void *to, size_t offset, size_t length) {
    (void)pkey_set(region->key, PKEY_DISABLE_WRITE);
    dr_read_directly(region, to, offset, length);
}

static void unmap_region(struct dr_region *region) {
    munmap(region->run, region->size);
    (void)pkey_free(region->key);
}

const struct dr_policy dr_policy_pkey = {
    "pkey", DR_IF_THERE, map_region, write_batch, dr_flush_instructions, read_code, unmap_region,
};
