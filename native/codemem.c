#include "codemem.h"

#include <stdio.h>

#if defined(__APPLE__)
#include <libkern/OSCacheControl.h>
#endif

/* A function that returns PROOF_VALUE, to see a policy write and run code before it is trusted. */
#define PROOF_VALUE 42
#if defined(__x86_64__)
static const uint8_t proof_code[] = {0xb8, PROOF_VALUE, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
#elif defined(__aarch64__)
static const uint8_t proof_code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6}; /* mov w0, #42; ret */
#else
#error "dynarec generates code for x86-64 and arm64 only"
#endif

static void flush_instructions(uint8_t *start, size_t length) {
#if defined(__APPLE__)
    sys_icache_invalidate(start, length);
#else
    __builtin___clear_cache((char *)start, (char *)start + length);
#endif
}

void dr_codemem_own(struct dr_codemem *memory) {
    memory->owner = pthread_self();
    memory->owned = true;
}

const char *dr_codemem_write(struct dr_codemem *memory, const struct dr_patch *patches, size_t count) {
    if (!memory->owned || !pthread_equal(memory->owner, pthread_self()))
        return "the code region was written by a thread that does not own it";
    for (size_t i = 0; i < count; i++)
        if (patches[i].offset > memory->size || patches[i].length > memory->size - patches[i].offset)
            return "a write to the code region lies outside it";
    memory->toggles++;
    const char *error = memory->policy->write(memory, patches, count);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++)
        flush_instructions(memory->run + patches[i].offset, patches[i].length);
    return NULL;
}

static const char *prove(struct dr_codemem *memory) {
    struct dr_patch patch = {0, proof_code, sizeof proof_code};
    dr_codemem_own(memory);
    const char *error = dr_codemem_write(memory, &patch, 1);
    if (error)
        return error;
    int (*function)(void);
    memcpy(&function, &memory->run, sizeof function);
    return function() == PROOF_VALUE ? NULL : "code written to the region did not run as written";
}

static const char *map_proven(struct dr_codemem *memory, const struct dr_policy *policy, size_t size) {
    memset(memory, 0, sizeof *memory);
    memory->policy = policy;
    memory->size = size;
    const char *error = policy->map(memory, size);
    if (error)
        return error;
    error = prove(memory);
    if (error)
        dr_codemem_unmap(memory);
    return error;
}

static const char *map_first(struct dr_codemem *memory, size_t size) {
    const char *error = "no policy was built for this system";
    for (const struct dr_policy *const *policy = dr_policies; *policy; policy++) {
        error = map_proven(memory, *policy, size);
        if (!error)
            return NULL;
    }
    return error;
}

const char *dr_codemem_map(struct dr_codemem *memory, const char *name, size_t size) {
    if (strcmp(name, "auto") == 0)
        return map_first(memory, size);
    for (const struct dr_policy *const *policy = dr_policies; *policy; policy++)
        if (strcmp((*policy)->name, name) == 0)
            return map_proven(memory, *policy, size);
    return "there is no policy of that name on this system";
}

void dr_codemem_unmap(struct dr_codemem *memory) {
    if (memory->run)
        memory->policy->unmap(memory);
    memory->run = memory->writable = NULL;
}
