/* RW while a batch is written, RX at all other times. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy.h"

static const char *map_region(struct dr_region *region, size_t size) {
    void *pages = mmap(NULL, size, PROT_READ | region->execute, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return strerror(errno);
    region->run = region->writable = pages;
    return NULL;
}

struct span {
    size_t start, length;
};

/* The pages that a batch touches, as one range: a batch is one open and one close. */
static struct span span_of(const struct dr_staged *staged) {
    size_t low = SIZE_MAX, high = 0, page = (size_t)sysconf(_SC_PAGESIZE);
    for (const uint32_t *at = staged->start; at < staged->end;) {
        const struct dr_record *record = (const struct dr_record *)at;
        size_t start = record->offset, end = start + record->length;
        low = start < low ? start : low;
        high = end > high ? end : high;
        at += dr_record_words(record);
    }
    low &= ~(page - 1);
    high = (high + page - 1) & ~(page - 1);
    return (struct span){low, high - low};
}

static const char *write_batch(struct dr_region *region, const struct dr_staged *staged) {
    struct span span = span_of(staged);
    if (mprotect(region->run + span.start, span.length, PROT_READ | PROT_WRITE))
        return strerror(errno);
    dr_copy_records(region->writable, staged->start, staged->end);
    return mprotect(region->run + span.start, span.length, PROT_READ | region->execute) ? strerror(errno) : NULL;
}

static void unmap_region(struct dr_region *region) {
    munmap(region->run, region->size);
}

const struct dr_policy dr_policy_mprotect = {
    "mprotect", DR_EXPECTED, map_region, write_batch, dr_flush_instructions, dr_read_directly, unmap_region,
};
