/* What generated code, the C core and Python share: the CPU state, exit kinds, limits.
 *
 * Generated code holds a pointer to `dr_cpu.state`: the guest's registers have short positive offsets, and what lies before
 * them short negative ones. dynarec/host/layout.py has the same offsets; a test compares the two.
 */
#ifndef DR_ABI_H
#define DR_ABI_H

#include <stddef.h>
#include <stdint.h>

#define DR_ABI_VERSION 3
#define DR_WORDS 64
#define DR_STATE_WORDS 48 /* the first of these: the guest's */
#define DR_SPILL_WORD 48  /* the next: values that a unit has no register for */
#define DR_SINK_WORD 63   /* the last: home registers that hold no guest register */
#define DR_MAX_HOMES 32
#define DR_JUMP_SLOTS 32768
#define DR_COUNTERS 131072
#define DR_MAX_REFUND 127 /* guest instructions that a link can give back */

/* Adds to a counter that its thread alone changes and others may read. */
#define DR_COUNT(counter, number) __atomic_store_n(&(counter), (counter) + (number), __ATOMIC_RELAXED)

/* Hardening, as bits. */
enum dr_harden { DR_BTI = 1, DR_PAC = 2 };

/* One slot of the table that indirect jumps look into: a block key, and the host code that runs it. Its place is the low half of
 * the key, times 8: one for each even key. What an odd target is compared with lies in the middle of a slot, the low half of an
 * entry, which is even: it is never found. */
struct dr_jump {
    uint64_t key;
    const void *entry; /* signed for the key, if hardened (DR_PAC) */
};

struct dr_cpu {
    uint8_t homes[DR_MAX_HOMES]; /* for each home register of the host, the word of `state` that it holds */
    uint64_t fault_pc;           /* host address of the access that faulted; 0: none did */
    uint64_t reserved[7];
    void *window;                /* host address of guest address 0 */
    uint64_t exit_pc;            /* host address behind the call that left generated code */
    const void *exit;            /* the exit stub, where generated code goes to leave; signed for its place (DR_PAC) */
    uint32_t pc;                 /* guest pc, exact whenever generated code is not running */
    int32_t budget;              /* guest instructions that may still start in this slice */
    uint32_t state[DR_WORDS];
    struct dr_jump jumps[DR_JUMP_SLOTS];
    uint64_t counters[DR_COUNTERS]; /* that units add to, if they count */
};

/* Why generated code left, by the record of the exit it left through. */
enum dr_exit_kind {
    DR_EXIT_JUMP,      /* to the guest pc in the record; can be linked */
    DR_EXIT_INDIRECT,  /* to the guest pc in `dr_cpu.pc` */
    DR_EXIT_INTERPRET, /* the instruction at the guest pc in the record is left to the interpreter */
    DR_EXIT_BUDGET,    /* not enough budget to start the unit, whose key is in the record */
};

#endif
