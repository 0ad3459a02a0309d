/* Mirrors of host pages that are closed because hooks watch them: an access to such a page would have to open and to close it.
 *
 * While a page has a mirror, its bytes are there, and what is in the page may be old; nobody but memory.c reads it, for the page is
 * closed. Before anything changes that, dr_mirrors_flush.
 */
#ifndef DR_MIRRORS_H
#define DR_MIRRORS_H

#include <stdbool.h>
#include <stdint.h>

#define DR_MIRRORS 8u

struct dr_memory;

struct dr_mirror {
    uint64_t page;  /* guest address of the host page */
    uint8_t *bytes; /* NULL: there is none, and never was */
    bool used;
    bool changed;   /* the page itself is old */
};

/* The mirror of the closed host page at an address; NULL: it cannot have one now. */
struct dr_mirror *dr_mirror(struct dr_memory *memory, uint64_t page);

/* Gives up the mirrors of a range: the bytes are in their pages again. NULL, or why they cannot be. */
const char *dr_mirrors_flush(struct dr_memory *memory, uint64_t start, uint64_t end);

void dr_mirrors_free(struct dr_memory *memory);

#endif
