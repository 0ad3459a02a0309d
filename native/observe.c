#include "observe.h"

#include "core.h"

static void alert(struct dr_core *core) {
    atomic_store(&core->observer.alert, true);
}

/* -- catching --------------------------------------------------------------------------------------------------------- */

void dr_set_catches(struct dr_core *core, uint32_t catches) {
    core->observer.catches = catches;
    core->observer.caught.what = 0;
}

void dr_take_caught(struct dr_core *core, struct dr_caught *caught) {
    *caught = core->observer.caught;
    core->observer.caught.what = 0;
}

/* Of several at once, the first is told. */
void dr_catch(struct dr_core *core, enum dr_catch what, uint32_t pc, uint32_t cause, uint32_t value) {
    struct dr_observer *observer = &core->observer;
    if (!(observer->catches & what) || observer->caught.what)
        return;
    observer->caught = (struct dr_caught){what, pc, cause, value};
    alert(core);
}

void dr_delivering(struct dr_core *core, enum dr_catch what, uint32_t pc, uint32_t cause, uint32_t value) {
    core->observer.delivered++;
    dr_catch(core, what, pc, cause, value);
}

uint64_t dr_delivered(const struct dr_core *core) {
    return core->observer.delivered;
}

void dr_set_delivered(struct dr_core *core, uint64_t count) {
    core->observer.delivered = count;
}

/* -- stepping --------------------------------------------------------------------------------------------------------- */

void dr_stay(struct dr_core *core, uint32_t start, uint32_t size) {
    core->observer.stay_start = start;
    core->observer.stay_size = size;
}

void dr_pass(struct dr_core *core) {
    core->hooks.passed = core->cpu.pc;
}

/* -- input ------------------------------------------------------------------------------------------------------------ */

void dr_hold_input(struct dr_core *core, int hold) {
    core->observer.holds_input = hold;
    core->observer.input_due = false;
    atomic_store(&core->attend, true);
}

void dr_input_due(struct dr_core *core) {
    core->observer.input_due = true;
    alert(core);
}

void dr_notify(struct dr_core *core) {
    atomic_store(&core->observer.notified, true);
    alert(core);
    dr_attract(core);
}

int dr_alerted(struct dr_core *core) {
    struct dr_observer *observer = &core->observer;
    atomic_store(&observer->alert, false);
    if (observer->caught.what)
        return DR_STOP_CAUGHT;
    bool due = atomic_exchange(&observer->notified, false) || observer->input_due;
    observer->input_due = false;
    return due ? DR_STOP_INPUT : -1;
}
