/* Two views of the same pages: one to write, one to run. No page is ever both through one view. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codemem.h"

static const char *map_views(struct dr_codemem *memory, int file, size_t size) {
    if (ftruncate(file, (off_t)size))
        return strerror(errno);
    void *writable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (writable == MAP_FAILED)
        return strerror(errno);
    void *run = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
    if (run == MAP_FAILED) {
        const char *error = strerror(errno);
        munmap(writable, size);
        return error;
    }
    memory->writable = writable;
    memory->run = run;
    return NULL;
}

static const char *map_region(struct dr_codemem *memory, size_t size) {
    int file = memfd_create("dynarec", MFD_CLOEXEC);
    if (file < 0)
        return strerror(errno);
    const char *error = map_views(memory, file, size);
    close(file);
    return error;
}

static const char *write_batch(struct dr_codemem *memory, const struct dr_patch *patches, size_t count) {
    dr_codemem_copy(memory->writable, patches, count);
    return NULL;
}

static void unmap_region(struct dr_codemem *memory) {
    munmap(memory->run, memory->size);
    munmap(memory->writable, memory->size);
}

const struct dr_policy dr_policy_dualmap = {"dualmap", map_region, write_batch, unmap_region};
