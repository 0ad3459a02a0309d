/* A machine's code memory, and the one function that writes it.
 *
 * There is one region for each process and policy (Apple allows a hardened program one MAP_JIT region); a machine has a
 * slice of it. Only the slice's owner thread writes, in batches: the units are verified, what links them leads to units, the region is opened, written and closed once, and the instruction caches see what is new. After a
 * fork the child has no region: its slices are stale, and have to be opened anew, empty.
 */
#ifndef DR_CODEMEM_H
#define DR_CODEMEM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "region.h"

/* One thing to write. Offsets are bytes from the start of the slice. */
struct dr_patch {
    uint32_t offset;       /* of a unit; or of a link (dr_exit.link) */
    const uint8_t *code;   /* the unit's code; NULL: a link */
    uint32_t size;
    const uint32_t *links; /* offsets, in the code, of what may be linked later */
    uint32_t link_count;
    uint32_t target;       /* the unit's body; or where a link leads from now on: a unit, or what follows the link */
    int32_t charge;        /* what the unit takes from the budget, or the link; below 0, it gives back */
};

struct dr_codemem {
    struct dr_region *region; /* NULL: none */
    struct dr_slice slice;
    const char *policy;       /* name; NULL: none */
    uint8_t *run;             /* where the code runs */
    uint32_t size;
    struct dr_rules rules;
    pthread_t owner;
    bool owned;
    unsigned forks;           /* of this process, when it was opened */
    uint32_t *staged;         /* records about to be written */
    size_t staged_room;
    uint64_t toggles;         /* batches written */
};

/* Takes a slice of the named policy's region, or of the first that proves itself ("auto"). NULL, or why not. */
const char *dr_codemem_open(struct dr_codemem *memory, const char *policy, size_t size, struct dr_rules rules);
void dr_codemem_use(struct dr_codemem *memory, struct dr_region *region, const struct dr_slice *slice, struct dr_rules rules);
void dr_codemem_close(struct dr_codemem *memory);
const char *dr_codemem_policy(const struct dr_codemem *memory);

/* Whether a fork has left it to the parent. */
static inline bool dr_codemem_is_stale(const struct dr_codemem *memory) {
    return memory->forks != dr_forks;
}

/* Only the owner may write; the calling thread becomes it. */
void dr_codemem_own(struct dr_codemem *memory);

/* Writes a batch. NULL, or why not: then nothing of it was written. */
const char *dr_codemem_write(struct dr_codemem *memory, const struct dr_patch *patches, size_t count);

/* What was written there is nothing to jump to and nothing to patch from now on. */
void dr_codemem_forget(struct dr_codemem *memory, uint32_t offset, uint32_t size);

void dr_codemem_read(const struct dr_codemem *memory, void *to, uint32_t offset, uint32_t size);

/* Whether the calling thread is writing a region just now: then it runs neither guests nor Python. */
bool dr_codemem_is_writing(void);

/* Why a policy does not work here; NULL: it has written and run code. */
const char *dr_codemem_probe(const char *policy);

/* Nanoseconds that a batch with one small unit takes: verified, written, flushed. -1: the policy does not work. */
int64_t dr_codemem_cost(const char *policy, uint32_t batches);

#endif
