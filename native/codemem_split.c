/* For tests: a processor whose instruction cache never notices anything by itself. What is written is kept apart, and reaches
 * the place where it runs only when just that place is flushed. A flush that is missing, too short, or names another address
 * leaves old code to run, every time.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy.h"

static void *map_pages(size_t size, int protection) {
    return mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static const char *map_region(struct dr_region *region, size_t size) {
    void *writable = map_pages(size, PROT_READ | PROT_WRITE);
    if (writable == MAP_FAILED)
        return strerror(errno);
    void *run = map_pages(size, PROT_READ | PROT_WRITE);
    if (run == MAP_FAILED || mprotect(run, size, PROT_READ | region->execute)) { /* as a flush does, which cannot tell */
        const char *error = strerror(errno);
        if (run != MAP_FAILED)
            munmap(run, size);
        munmap(writable, size);
        return error;
    }
    region->run = run;
    region->writable = writable;
    return NULL;
}

static const char *write_batch(struct dr_region *region, const struct dr_staged *staged) {
    dr_copy_records(region->writable, staged->start, staged->end);
    return NULL;
}

static void flush(const struct dr_region *region, uint8_t *start, size_t length) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), offset = (size_t)(start - region->run);
    if (start < region->run || offset > region->size || length > region->size - offset)
        return;
    uint8_t *first = region->run + (offset & ~(page - 1));
    size_t span = (size_t)(start + length - first);
    if (mprotect(first, span, PROT_READ | PROT_WRITE))
        return;
    memcpy(start, region->writable + offset, length);
    if (!mprotect(first, span, PROT_READ | region->execute))
        dr_flush_instructions(region, start, length);
}

static void unmap_region(struct dr_region *region) {
    munmap(region->run, region->size);
    munmap(region->writable, region->size);
}

const struct dr_policy dr_policy_split = {
    "split", DR_BY_NAME, map_region, write_batch, flush, dr_read_directly, unmap_region,
};
