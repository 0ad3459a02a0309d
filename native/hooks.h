/* Hooks: guest addresses at which a run stops before the guest executes, reads or writes there.
 *
 * For each kind, the ranges that are hooked are kept as edges: sorted addresses, each with the number of ranges that hold the
 * addresses from there to the next edge. A flag of each guest page tells whether there is anything to look for.
 *
 * Every hook is hit once each time that its instruction is executed: what has been reported is not asked for again until an
 * instruction has retired. One whose hooks all have conditions, of which none holds, counts as reported.
 */
#ifndef DR_HOOKS_H
#define DR_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "memory.h"

struct dr_edge {
    uint64_t address;
    uint32_t depth;
    uint32_t always; /* of these, ranges without a condition */
};

struct dr_edges {
    struct dr_edge *at; /* no two neighbours have the same numbers, and the first one has not 0 */
    size_t count, room;
};

/* A hook with a condition. */
struct dr_conditional {
    int kind;
    uint64_t start, end;
    struct dr_condition *condition;
};

struct dr_conditionals {
    struct dr_conditional *at;
    size_t count, room;
};

struct dr_hooks {
    struct dr_edges edges[DR_HOOKS];
    struct dr_conditionals conditionals;
    struct dr_hit hit; /* the last one */
    int64_t passed;    /* pc of an instruction that has been reported and not retired since, -1: none */
    int64_t left;      /* pc when dr_run returned last, -1: it never did */
    bool begins;       /* pc begins a basic block that is hooked, or one was hooked while the guest was there */
    bool holds;        /* the access in `hit` is to be reported; the step that was to make it has not happened */
    bool resumes;      /* the instruction at `passed` is to be executed, without asking up to the access in `hit` */
};

void dr_hooks_free(struct dr_hooks *hooks);

/* At the beginning and at the end of a run. */
void dr_hooks_enter(struct dr_core *core);
void dr_hooks_leave(struct dr_core *core);

/* Whether code at an address in a page with DR_HOOKED is, as bits by enum dr_hook; `begins`: it would begin a basic block. */
uint32_t dr_hooks_in_page(const struct dr_core *core, uint32_t pc, bool begins);

/* Whether the instruction at pc is to be reported now; then it has been. */
bool dr_hooks_stop(struct dr_core *core);

/* Whether the instruction at pc is to be executed that an access of was reported. */
static inline bool dr_hooks_resume(const struct dr_hooks *hooks, uint32_t pc) {
    return hooks->resumes && hooks->passed == pc;
}

/* Whether an access that the guest may make is to be reported first. */
bool dr_hooks_hold(struct dr_core *core, enum dr_hook kind, uint32_t address, uint32_t size, uint32_t value);

/* Whether a write that has been made is hooked. */
bool dr_hooks_stored(const struct dr_core *core, uint32_t address, uint32_t size);

/* The step that was held did not happen. */
void dr_hooks_held(struct dr_core *core);

#endif
