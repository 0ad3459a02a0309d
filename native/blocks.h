/* The units in the cache: key -> unit, host pc -> unit, unit -> exits, sites and the guest bytes it was made from.
 *
 * Units are laid out in the region in the order of their numbers, so a host address is found by bisection. Nothing of this
 * lives in executable memory.
 */
#ifndef DR_BLOCKS_H
#define DR_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "memory.h"

#define DR_NONE UINT32_MAX

/* An exit, with what linking has to know: which unit it jumps to, and the next exit that jumps to the same. */
struct dr_link {
    struct dr_exit exit;
    uint32_t unit;
    uint32_t to;
    uint32_t next;
};

struct dr_block {
    uint64_t key;
    uint32_t start, size; /* host code, in bytes from the start of the region */
    uint32_t insns;
    uint32_t first_exit, exit_count;
    uint32_t first_site, site_count;
    uint32_t first_range, range_count;
    uint32_t first_loan, loan_count;
    uint32_t source;      /* offset of a copy of its guest bytes */
    uint32_t incoming;    /* first of the exits linked to it */
    bool alive;
};

#define DR_VECTOR(type) \
    struct { \
        type *at; \
        size_t count, room; \
    }

struct dr_blocks {
    DR_VECTOR(struct dr_block) blocks;
    DR_VECTOR(struct dr_link) links;
    DR_VECTOR(struct dr_site) sites;
    DR_VECTOR(struct dr_range) ranges;
    DR_VECTOR(struct dr_loan) loans;
    DR_VECTOR(uint8_t) sources;
    uint32_t *table; /* open addressing: number of the unit + 1, 0 when free */
    size_t table_size, table_used;
    size_t alive;
    uint32_t code_end; /* bytes of the region in use */
};

/* Adds a unit whose code goes to `start`; its guest bytes are copied from `window`. Its number, or DR_NONE without memory. */
uint32_t dr_blocks_add(struct dr_blocks *blocks, const struct dr_unit *unit, uint32_t start, const uint8_t *window);

uint32_t dr_blocks_find(const struct dr_blocks *blocks, uint64_t key); /* number of the live unit, or DR_NONE */
uint32_t dr_blocks_at(const struct dr_blocks *blocks, uint64_t offset); /* the unit, live or not, whose code holds it */
uint32_t dr_blocks_exit(const struct dr_blocks *blocks, uint64_t offset); /* the exit that called from before `offset` */
const struct dr_site *dr_blocks_site(const struct dr_blocks *blocks, const struct dr_block *block, uint64_t offset);

/* Whether the guest bytes of a unit may be executed and are what they were when it was made. */
bool dr_blocks_current(const struct dr_blocks *blocks, const struct dr_block *block, const struct dr_memory *memory);

void dr_blocks_kill(struct dr_blocks *blocks, uint32_t number);
void dr_blocks_clear(struct dr_blocks *blocks);
void dr_blocks_free(struct dr_blocks *blocks);

#endif
