/* Decoded guest code: for each page, what the instruction at each of its addresses is, found out when it is first executed. Only
 * the CPU thread executes and changes it.
 *
 * It is as good as the bytes that it was made from. Stores of the interpreter to a page with DR_DECODED, and writes from outside,
 * take away what they reach at once (dr_decoded_forget). What generated code stores to is not noticed in every page: after it has
 * run, such a page is compared before it is entered again. So are all after a change of hooks, permissions or the like
 * (dr_decoded_doubt). The first instruction of a unit is never there, so that the unit is found. */
#ifndef DR_DECODED_H
#define DR_DECODED_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "memory.h"

#define DR_DECODED_SLOTS 5
#define DR_DECODED_PAGES 512u

/* handler: how it is executed, by the generated interpreter's numbers; 0: it is not known. */
struct dr_decoded {
    uint16_t handler;
    uint8_t slots[DR_DECODED_SLOTS]; /* its narrow operands: registers are words of the state */
    uint8_t profile;                 /* enum dr_profile_kind: which of the last are counted */
    uint32_t wide;                   /* its wide operand */
    union {
        uint32_t word;   /* its bytes */
        uint32_t target; /* where it goes most; how sure that is, is in the last slot (dr_note_target) */
        struct {
            uint16_t taken, fell;
        };
    };
};

/* Of a page that the guest may execute, without hooks. */
struct dr_decoded_page {
    uint32_t address;
    bool guarded;          /* stores of generated code would be noticed */
    uint64_t doubts, runs; /* those of struct dr_decoded_code when its bytes were last compared */
    uint8_t source[DR_PAGE];
    struct dr_decoded insns[]; /* by address; the one behind the page is never known */
};

struct dr_decoded_code {
    struct dr_decoded_page *pages[DR_DECODED_PAGES]; /* by the number of the page, as in a hash table; NULL: none */
    uint64_t doubts;
    uint64_t runs; /* of generated code */
};

struct dr_core;

/* The decoded page with an instruction that can be executed from there; NULL: it has to be looked at. */
struct dr_decoded_page *dr_decoded_renew(struct dr_core *core, uint32_t pc);

/* What an instruction is, once it is found out. */
void dr_decoded_set(struct dr_core *core, struct dr_decoded *insn, const struct dr_decoded *found);

/* The bytes of a range were changed, or a unit begins there. */
void dr_decoded_forget(struct dr_core *core, uint64_t address, uint64_t size);

/* Stores of generated code to a page are not noticed any more. */
void dr_decoded_unguard(struct dr_core *core, uint32_t page);

/* Everything has to be compared. */
static inline void dr_decoded_doubt(struct dr_decoded_code *code) {
    code->doubts++;
}

void dr_decoded_free(struct dr_decoded_code *code);

/* Where a page would be. */
static inline struct dr_decoded_page **dr_decoded_place(struct dr_decoded_code *code, uint32_t page) {
    return &code->pages[page & (DR_DECODED_PAGES - 1)];
}

static inline bool dr_decoded_is_trusted(const struct dr_decoded_code *code, const struct dr_decoded_page *page) {
    return page->doubts == code->doubts && (page->guarded || page->runs == code->runs);
}

#endif
