/* What is generated for a guest (guest_isa/interpreter.py): its interpreter, and how it takes traps and interrupts. */
#ifndef DR_GUEST_H
#define DR_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"

/* Executes the instruction at pc, which has these bytes. */
typedef enum dr_status dr_handler(struct dr_core *core, uint32_t word);

struct dr_guest_insn {
    uint32_t word, length; /* its bytes, and how many it has */
};

/* Without a machine mode it has the first three. */
struct dr_guest {
    enum dr_status (*step)(struct dr_core *core); /* executes the instruction at pc */
    /* Executes up to so many instructions, 1 or more; what the last one came to, which alone is not counted yet. heats: it looks
     * for units, and blocks that become hot. */
    enum dr_status (*run)(struct dr_core *core, uint32_t steps, bool heats);
    dr_handler *(*fetch)(struct dr_core *core, struct dr_guest_insn *insn); /* what would; NULL: it trapped */
    enum dr_status (*take_trap)(struct dr_core *core, uint32_t cause, uint32_t value); /* enters the guest's handler */
    bool (*pending)(struct dr_core *core, uint32_t *cause); /* whether an interrupt is to be taken now */
    bool (*wakes)(struct dr_core *core);                    /* whether a guest that waits goes on */
};

#endif
