/* RW while a batch is written, RX at all other times. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codemem.h"

static const char *map_region(struct dr_codemem *memory, size_t size) {
    void *region = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED)
        return strerror(errno);
    memory->run = region;
    return NULL;
}

/* The pages that a batch touches, as one range: a batch is one open and one close. */
static void span(const struct dr_patch *patches, size_t count, size_t *start, size_t *length) {
    size_t low = SIZE_MAX, high = 0, page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < count; i++) {
        low = patches[i].offset < low ? patches[i].offset : low;
        high = patches[i].offset + patches[i].length > high ? patches[i].offset + patches[i].length : high;
    }
    *start = low & ~(page - 1);
    *length = ((high + page - 1) & ~(page - 1)) - *start;
}

static const char *write_batch(struct dr_codemem *memory, const struct dr_patch *patches, size_t count) {
    size_t start, length;
    if (!count)
        return NULL;
    span(patches, count, &start, &length);
    if (mprotect(memory->run + start, length, PROT_READ | PROT_WRITE))
        return strerror(errno);
    dr_codemem_copy(memory->run, patches, count);
    return mprotect(memory->run + start, length, PROT_READ | PROT_EXEC) ? strerror(errno) : NULL;
}

static void unmap_region(struct dr_codemem *memory) {
    munmap(memory->run, memory->size);
}

const struct dr_policy dr_policy_mprotect = {"mprotect", map_region, write_batch, unmap_region};
