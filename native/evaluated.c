/* A guest that nothing was generated for: a function of Python executes its instructions, one by one. It reaches guest memory the
 * way interpreters do where generated code cannot, so devices, hooks and stores to code are the same to it.
 */
#include "evaluated.h"

#include "interp.h"

static enum dr_status step(struct dr_core *core) {
    dr_calls_python(core, true);
    int status = core->stepper(core->stepper_handle);
    dr_calls_python(core, false);
    return (enum dr_status)status;
}

static enum dr_status run(struct dr_core *core, uint32_t steps, bool heats) {
    (void)steps, (void)heats;
    return step(core);
}

static enum dr_status execute(struct dr_core *core, uint32_t word) {
    (void)word;
    return step(core);
}

static dr_handler *fetch(struct dr_core *core, struct dr_guest_insn *insn) {
    (void)core, (void)insn;
    return execute;
}

const struct dr_guest dr_evaluated = {.step = step, .run = run, .fetch = fetch};

void dr_connect_stepper(struct dr_core *core, void *handle, dr_stepper *stepper) {
    core->stepper = stepper;
    core->stepper_handle = handle;
}

int dr_step_fetch(struct dr_core *core, uint32_t pc, uint32_t size, uint32_t *word) {
    return dr_fetch(core, pc, size, word);
}

int dr_step_load(struct dr_core *core, uint32_t address, uint32_t size, int writes, uint32_t *value) {
    return dr_load_slow(core, address, size, writes ? DR_READ | DR_WRITE : DR_READ, value);
}

int dr_step_store(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    return dr_store_slow(core, address, size, value);
}

int dr_step_fail(struct dr_core *core, uint32_t cause, uint32_t value, uint32_t length) {
    return dr_raise(core, cause, value, length);
}
