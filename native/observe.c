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

void dr_leave_trail(struct dr_core *core, const struct dr_trail *trail) {
    core->observer.trail = trail ? *trail : (struct dr_trail){.pcs = NULL};
}

uint32_t dr_trail_count(const struct dr_core *core) {
    return core->observer.trail.count;
}

void dr_look(struct dr_core *core, int look) {
    core->observer.looks = look;
}

/* An instruction that traps, and is not retired, leaves one too. */
void dr_note_step(struct dr_core *core) {
    struct dr_trail *trail = &core->observer.trail;
    if (trail->count >= trail->room)
        return;
    trail->pcs[trail->count] = core->cpu.pc;
    trail->times[trail->count] = (uint32_t)dr_instructions(core);
    trail->words[trail->count++] = core->cpu.state[trail->word];
}

void dr_pass(struct dr_core *core, int accesses) {
    struct dr_hooks *hooks = &core->hooks;
    if (accesses && !(hooks->resumes && hooks->passed == core->cpu.pc)) {
        hooks->hit = (struct dr_hit){.pc = core->cpu.pc};
        hooks->resumes = true;
    }
    hooks->passed = core->cpu.pc;
}

/* -- input ------------------------------------------------------------------------------------------------------------ */

void dr_hold_input(struct dr_core *core, int hold) {
    core->observer.holds_input = hold;
    core->observer.holds_quietly = hold == DR_HOLD_QUIETLY;
    if (!hold)
        atomic_store(&core->observer.notified, false);
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
