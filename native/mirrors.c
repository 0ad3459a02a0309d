#include "mirrors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"

static bool protect(const struct dr_memory *memory, uint64_t page, int access) {
    return !mprotect(memory->base + page, memory->host, access);
}

static const char *give_up(struct dr_memory *memory, struct dr_mirror *mirror) {
    if (mirror->used && mirror->changed) {
        if (!protect(memory, mirror->page, PROT_READ | PROT_WRITE))
            return strerror(errno);
        memcpy(memory->base + mirror->page, mirror->bytes, memory->host);
        (void)protect(memory, mirror->page, PROT_NONE);
    }
    mirror->used = mirror->changed = false;
    return NULL;
}

static bool fill(struct dr_memory *memory, struct dr_mirror *mirror, uint64_t page) {
    if (!mirror->bytes && !(mirror->bytes = malloc(memory->host)))
        return false;
    if (!protect(memory, page, PROT_READ))
        return false;
    memcpy(mirror->bytes, memory->base + page, memory->host);
    mirror->page = page;
    return mirror->used = protect(memory, page, PROT_NONE);
}

struct dr_mirror *dr_mirror(struct dr_memory *memory, uint64_t page) {
    struct dr_mirror *mirror = &memory->mirrors[page / memory->host % DR_MIRRORS];
    if (mirror->used && mirror->page == page)
        return mirror;
    return !give_up(memory, mirror) && fill(memory, mirror, page) ? mirror : NULL;
}

const char *dr_mirrors_flush(struct dr_memory *memory, uint64_t start, uint64_t end) {
    const char *error = NULL;
    for (struct dr_mirror *mirror = memory->mirrors; mirror < memory->mirrors + DR_MIRRORS && !error; mirror++)
        if (mirror->used && mirror->page < end && start < mirror->page + memory->host)
            error = give_up(memory, mirror);
    return error;
}

void dr_mirrors_free(struct dr_memory *memory) {
    for (unsigned i = 0; i < DR_MIRRORS; i++)
        free(memory->mirrors[i].bytes);
}
