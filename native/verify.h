/* What may be installed, decided from the bytes alone: an allow-list of the encodings that the emitters use, with rules for
 * their operands. Whatever passes, whoever made it,
 *
 * - reaches memory only through the guest's window or the words of `dr_cpu` that are its own, and writes none of those that
 *   hold addresses;
 * - leaves only through the exit stub, through a branch to a registered entry, or through the table of entries;
 * - cannot run for ever: each round of a loop and each way to another unit takes at least one from the budget. A link gives back
 *   less than the unit has taken, and goes to nothing but its own exit call until it is linked.
 *
 * A verifier knows nothing of guests, and reads nothing but the bytes and the places that are to be linked. Both are built
 * into every core, so that either can be tested on every machine.
 */
#ifndef DR_VERIFY_H
#define DR_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"

/* Why code is refused, and the offset of the instruction that is to blame. */
struct dr_refusal {
    uint32_t offset;
    const char *reason;
};

/* What links to a unit have to know. */
struct dr_head {
    uint32_t charge; /* that it takes from the budget when it is entered at its start */
    uint32_t body;   /* offset right behind that */
};

struct dr_candidate {
    const uint8_t *code;
    uint32_t size;
    const uint32_t *links; /* offsets of what is to be linked, as in dr_exit.link */
    uint32_t link_count;
    uint32_t harden;       /* enum dr_harden bits: the forms that are then the only ones */
};

/* A verifier: whether the code may be installed; if not, `refusal` says why. Takes time linear in the size. */
typedef bool dr_verifier(const struct dr_candidate *candidate, struct dr_head *head, struct dr_refusal *refusal);

dr_verifier dr_verify_x86_64, dr_verify_arm64;

#endif
