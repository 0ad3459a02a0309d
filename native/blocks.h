/* The units in the cache: key -> unit, host pc -> unit, guest page -> units, unit -> exits, sites and the guest bytes it was
 * made from.
 *
 * The region is shared by a few generations, which are filled one after the other; the one whose turn has come is emptied
 * first. In a generation, units lie in the order in which they were added, so a host address is found by bisection. A unit
 * that has died keeps its place until then. Nothing of this lives in executable memory.
 */
#ifndef DR_BLOCKS_H
#define DR_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "guest.h"
#include "memory.h"

#define DR_GENERATIONS 4u
#define DR_SMALLEST_GENERATION (UINT32_C(16) << 10)

struct dr_block;

/* An exit, with what linking has to know: the unit that it jumps to, and the next exit that jumps to the same. */
struct dr_link {
    struct dr_exit exit;
    struct dr_block *unit, *to;
    struct dr_link *next;
    dr_handler *handler; /* of the instruction that is left to the interpreter, if it is known */
    uint32_t word;       /* for the handler */
};

/* A unit's place in the list of one guest page's units. */
struct dr_page_use {
    struct dr_block *unit;
    struct dr_page_use *next, **back;
};

/* What is recorded of a unit. */
struct dr_unit_record {
    uint32_t serial;
    uint32_t counter_first, counter_count; /* in dr_cpu.counters */
    uint32_t samples;
    uint64_t batch;
    uint64_t *final;       /* what its counters were when they became another unit's; NULL: they are still its own */
    uint64_t *missed;      /* for each exit */
    uint64_t *site_faults; /* for each site */
    struct dr_death_record death;
};

/* One allocation, with the arrays behind it. */
struct dr_block {
    uint64_t key;
    uint32_t start, size; /* host code, in bytes from the start of the slice */
    uint32_t insns, body; /* as in dr_unit */
    uint32_t exit_count, site_count, range_count, loan_count, recovery_count, use_count;
    struct dr_link *exits;
    struct dr_site *sites;
    struct dr_range *ranges;
    struct dr_loan *loans;
    struct dr_recovery *recoveries;
    struct dr_page_use *uses;
    uint8_t *source;          /* a copy of its guest bytes */
    struct dr_link *incoming; /* first of the exits linked to it */
    struct dr_block *next;    /* in its chain of the table */
    bool alive;
    bool checked;             /* it compares its guest bytes by itself */
    struct dr_unit_record *record; /* NULL: nobody wants to know */
};

#define DR_VECTOR(type) \
    struct { \
        type *at; \
        size_t count, room; \
    }

/* Makes room for more elements; false without memory. */
bool dr_grow(void **at, size_t *room, size_t wanted, size_t size);
#define DR_RESERVE(vector, more) \
    dr_grow((void **)&(vector).at, &(vector).room, (vector).count + (more), sizeof *(vector).at)

struct dr_generation {
    uint32_t start, end, fill; /* bytes from the start of the slice; `fill` is where the next unit goes */
    uint32_t first_counter, end_counter, next_counter; /* in dr_cpu.counters */
    DR_VECTOR(struct dr_block *) units;
};

#define DR_RECENT_EXITS 256u

struct dr_blocks {
    struct dr_block **table; /* chains by key */
    size_t table_size;
    size_t alive;
    struct dr_generation generations[DR_GENERATIONS];
    uint32_t generation_count, current;
    struct dr_page_use **pages; /* by guest page: the units with bytes in it */
    struct dr_link *recent[DR_RECENT_EXITS]; /* exits that were looked for, by their place; of units that are not freed */
    uint64_t *counters;      /* dr_cpu.counters */
    bool recording;          /* units are to have records, and are kept until somebody has read them: */
    struct dr_block *buried; /* those that have left the cache */
};

/* The tables for a code memory of so many bytes. NULL, or why not. */
const char *dr_blocks_create(struct dr_blocks *blocks, uint32_t code_size, uint64_t *counters);
void dr_blocks_free(struct dr_blocks *blocks);

/* Whether the present generation has room for a unit. */
bool dr_blocks_fit(const struct dr_blocks *blocks, const struct dr_unit *unit);

/* Adds a unit whose code goes to where the present generation is filled to. NULL without memory. */
struct dr_block *dr_blocks_add(struct dr_blocks *blocks, const struct dr_unit *unit);

struct dr_block *dr_blocks_at(const struct dr_blocks *blocks, uint64_t offset);     /* the unit, live or not, whose code holds it */
const struct dr_site *dr_block_site(const struct dr_block *block, uint64_t offset); /* the access there, or NULL */

/* Where the chain of a key begins. */
static inline struct dr_block **dr_blocks_chain(const struct dr_blocks *blocks, uint64_t key) {
    return &blocks->table[(size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (blocks->table_size - 1)];
}

/* The live unit, or NULL. */
static inline struct dr_block *dr_blocks_find(const struct dr_blocks *blocks, uint64_t key) {
    if (!blocks->table)
        return NULL;
    struct dr_block *block = *dr_blocks_chain(blocks, key);
    while (block && block->key != key)
        block = block->next;
    return block;
}

/* The exit that called from before an offset, or NULL. */
struct dr_link *dr_blocks_find_exit(const struct dr_blocks *blocks, uint64_t offset);
static inline struct dr_link *dr_blocks_exit(struct dr_blocks *blocks, uint64_t offset) {
    struct dr_link **recent = &blocks->recent[(offset ^ offset >> 8) % DR_RECENT_EXITS];
    if (!*recent || (*recent)->unit->start + (*recent)->exit.ret != offset)
        *recent = dr_blocks_find_exit(blocks, offset);
    return *recent;
}

/* Whether the guest bytes of a unit may be executed and are what they were when it was made. */
bool dr_block_is_current(const struct dr_block *block, struct dr_memory *memory);
bool dr_block_overlaps(const struct dr_block *block, uint64_t address, uint64_t size);
bool dr_block_holds(const struct dr_block *block, uint64_t address, uint64_t size); /* all bytes of it are the unit's */

void dr_blocks_kill(struct dr_blocks *blocks, struct dr_block *block);
void dr_blocks_empty(struct dr_blocks *blocks, uint32_t generation); /* its units, which are all dead */
void dr_blocks_free_buried(struct dr_blocks *blocks);

#endif
