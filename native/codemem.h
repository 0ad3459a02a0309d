/* The code region, and the one function that writes it.
 *
 * A policy maps a region whose pages the CPU can execute at `run`, and writes patches into it. Outside `write` no thread can
 * both write and execute the region (the test of a policy), and nobody but this file's function calls `write`. Generated code
 * is never running on the owner thread while `write` is. A policy's `map` answers NULL, or why it cannot.
 */
#ifndef DR_CODEMEM_H
#define DR_CODEMEM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct dr_patch {
    size_t offset;
    const void *bytes;
    size_t length;
};

struct dr_codemem;

struct dr_policy {
    const char *name;
    const char *(*map)(struct dr_codemem *memory, size_t size);
    const char *(*write)(struct dr_codemem *memory, const struct dr_patch *patches, size_t count);
    void (*unmap)(struct dr_codemem *memory);
};

struct dr_codemem {
    const struct dr_policy *policy;
    uint8_t *run;       /* where the code runs */
    uint8_t *writable;  /* the writable view of policies that have one */
    size_t size;
    pthread_t owner;
    bool owned;
    uint64_t toggles;
};

/* The policies built for this system, strictest first, ended by NULL. */
extern const struct dr_policy *const dr_policies[];

/* Maps a region with the named policy, or with the first that proves itself ("auto"). NULL, or why not. */
const char *dr_codemem_map(struct dr_codemem *memory, const char *policy, size_t size);
void dr_codemem_unmap(struct dr_codemem *memory);

/* Only the owner may write; the calling thread becomes it. */
void dr_codemem_own(struct dr_codemem *memory);

/* Writes a batch: checks bounds and owner, opens, copies, closes, makes the instruction caches see it. NULL, or why not. */
const char *dr_codemem_write(struct dr_codemem *memory, const struct dr_patch *patches, size_t count);

static inline void dr_codemem_copy(uint8_t *to, const struct dr_patch *patches, size_t count) {
    for (size_t i = 0; i < count; i++)
        memcpy(to + patches[i].offset, patches[i].bytes, patches[i].length);
}

#endif
