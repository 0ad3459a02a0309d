/* Traps and interrupts that the guest takes itself, and the clock that they follow.
 *
 * Virtual time is counted in guest instructions, so it is the same in every tier: the run loop runs up to the deadline, raises
 * the lines that belong to it, and delivers what is pending before the next instruction.
 */
#include <time.h>

#include "core.h"

#define NS_PER_SECOND UINT64_C(1000000000)

int dr_set_own_traps(struct dr_core *core, int own) {
    dr_failure = own && !core->guest->take_trap ? "the guest has no machine mode" : NULL;
    core->own_traps = own && !dr_failure;
    return dr_failure ? -1 : 0;
}

/* -- time ----------------------------------------------------------------------------------------------------------- */

static uint64_t host_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

void dr_set_clock(struct dr_core *core, uint32_t ticks_per_second, uint32_t instructions_per_tick) {
    core->clock = (struct dr_clock){ticks_per_second, instructions_per_tick, 0, host_time()};
}

uint64_t dr_virtual_time(const struct dr_core *core) {
    return dr_instructions(core) + __atomic_load_n(&core->clock.skipped, __ATOMIC_RELAXED);
}

uint64_t dr_time(const struct dr_core *core) {
    const struct dr_clock *clock = &core->clock;
    if (clock->instructions_per_tick)
        return dr_virtual_time(core) / clock->instructions_per_tick;
    uint64_t elapsed = host_time() - clock->epoch;
    return elapsed / NS_PER_SECOND * clock->ticks_per_second +
           elapsed % NS_PER_SECOND * clock->ticks_per_second / NS_PER_SECOND;
}

void dr_skip_to(struct dr_core *core, uint64_t virtual_time) {
    uint64_t now = dr_virtual_time(core);
    if (virtual_time > now)
        DR_COUNT(core->clock.skipped, virtual_time - now);
}

void dr_set_deadline(struct dr_core *core, uint64_t virtual_time, uint32_t lines) {
    core->deadline = virtual_time;
    core->deadline_lines = lines;
    atomic_store(&core->attend, true);
}

/* -- interrupts ------------------------------------------------------------------------------------------------------ */

void dr_set_lines(struct dr_core *core, uint32_t lines, int up) {
    if (up)
        atomic_fetch_or(&core->lines, lines);
    else
        atomic_fetch_and(&core->lines, ~lines);
}

uint32_t dr_lines(struct dr_core *core) {
    return atomic_load(&core->lines);
}

bool dr_must_attend(struct dr_core *core) {
    uint32_t cause;
    if (atomic_load_explicit(&core->attend, memory_order_relaxed))
        return true;
    return atomic_load_explicit(&core->lines, memory_order_relaxed) && core->guest->pending(core, &cause);
}

static void meet_deadline(struct dr_core *core, uint64_t now) {
    if (core->deadline > now)
        return;
    dr_set_lines(core, core->deadline_lines, true);
    core->deadline = UINT64_MAX;
}

void dr_attend(struct dr_core *core) {
    uint64_t total = core->limit + core->beyond, now = dr_virtual_time(core);
    uint32_t cause;
    atomic_store_explicit(&core->attend, false, memory_order_relaxed);
    meet_deadline(core, now);
    core->limit = total < core->deadline - now ? total : core->deadline - now;
    core->beyond = total - core->limit;
    if (atomic_load_explicit(&core->lines, memory_order_relaxed) && core->guest->pending(core, &cause)) {
        core->guest->take_trap(core, cause, 0);
        core->hooks.begins = true;
    }
}

/* -- what steps come to ---------------------------------------------------------------------------------------------- */

/* A request to stop may come from the device that made the instruction trap: it is done again when the guest goes on. A handler
 * whose own first instruction traps would do so for ever, without an instruction retired. */
int dr_trapped(struct dr_core *core) {
    uint32_t pc = core->cpu.pc;
    if (!core->own_traps)
        return DR_STOP_TRAP;
    if (atomic_load_explicit(&core->stop, memory_order_relaxed))
        return -1;
    core->guest->take_trap(core, core->trap.cause, core->trap.value);
    return core->cpu.pc == pc ? DR_STOP_TRAP : -1;
}

int dr_waiting(struct dr_core *core) {
    if (!core->own_traps)
        return -1;
    meet_deadline(core, dr_virtual_time(core));
    return core->guest->wakes(core) ? -1 : DR_STOP_WAIT;
}
