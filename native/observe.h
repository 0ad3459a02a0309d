/* What a debugger wants of a run beside hooks: to stop behind a trap, an interrupt or the end of a unit, to step while the pc
 * is in a range, to leave a trail of the instructions, and to know each moment at which input reaches the guest. */
#ifndef DR_OBSERVE_H
#define DR_OBSERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api.h"

struct dr_observer {
    atomic_bool alert; /* one of the next fields has something for the run loop */
    struct dr_caught caught;
    atomic_bool notified;
    bool input_due;
    bool holds_input, holds_quietly;
    uint32_t catches; /* enum dr_catch bits */
    uint32_t stay_start, stay_size;
    bool looks;
    struct dr_trail trail;
    uint64_t delivered;
};

void dr_catch(struct dr_core *core, enum dr_catch what, uint32_t pc, uint32_t cause, uint32_t value);
void dr_delivering(struct dr_core *core, enum dr_catch what, uint32_t pc, uint32_t cause, uint32_t value);
void dr_input_due(struct dr_core *core);
void dr_note_step(struct dr_core *core);
int dr_alerted(struct dr_core *core); /* an enum dr_stop; -1: the run goes on */

#endif
