/* The run loop: finds the unit at the guest's pc, runs it, and looks why it came back. */
#include <string.h>

#include "core.h"
#include "host.h"

/* A slice bounds how long a request to stop waits. */
#define SLICE INT32_C(500000)

static const struct dr_block *block_at_pc(struct dr_core *core) {
    uint32_t number = dr_blocks_find(&core->blocks, core->cpu.pc);
    return number == DR_NONE ? NULL : &core->blocks.blocks.at[number];
}

/* -- the interpreter ------------------------------------------------------------------------------------------------ */

static void retire(struct dr_core *core, uint64_t count) {
    core->stats.instructions += count;
    core->limit -= count;
}

/* Counts one more execution of the block at pc; whether it has become worth a translation. */
static bool becomes_hot(struct dr_core *core) {
    uint8_t *count = &core->hot[core->cpu.pc >> core->config.jump_shift & (DR_HOT_SLOTS - 1)];
    if (*count < core->config.hot)
        ++*count;
    return *count >= core->config.hot;
}

/* Steps until something else has to look: -1 to go round the loop, else why dr_run returns. */
static int interpret(struct dr_core *core, uint64_t steps, bool until_jump) {
    while (steps--) {
        core->stored = false;
        enum dr_status status = core->step(core);
        if (status == DR_TRAPPED)
            return DR_STOP_TRAP;
        retire(core, 1);
        core->stats.interpreted++;
        if (core->stored)
            return DR_STOP_STORED;
        if (status == DR_SYNC && !dr_invalidate_changed(core))
            return DR_STOP_ERROR;
        if (atomic_load_explicit(&core->stop, memory_order_relaxed) || core->cpu.pc == core->until)
            return -1;
        if (status == DR_JUMPED && until_jump)
            return -1;
    }
    return -1;
}

/* -- generated code -------------------------------------------------------------------------------------------------- */

static void enter(struct dr_core *core, const struct dr_block *block) {
    int32_t slice = core->limit < (uint64_t)SLICE ? (int32_t)core->limit : SLICE;
    core->cpu.budget = slice;
    core->cpu.fault_pc = 0;
    dr_enter(core->cpu.state, core->code.run + block->start);
}

/* Gives back what was charged and not executed, and counts what was: `slice` less what is left of it. */
static void settle(struct dr_core *core, int32_t slice, uint32_t refund) {
    core->cpu.budget += (int32_t)refund;
    retire(core, (uint64_t)(slice - core->cpu.budget));
}

/* Puts the home registers where the unit that faulted kept them for. */
static void store_homes(struct dr_core *core, const struct dr_block *block) {
    uint8_t words[DR_MAX_HOMES];
    memcpy(words, core->cpu.homes, sizeof words);
    for (uint32_t i = block->first_loan; i < block->first_loan + block->loan_count; i++)
        words[core->blocks.loans.at[i].home] = (uint8_t)core->blocks.loans.at[i].word;
    for (unsigned i = 0; i < DR_HOST_HOMES; i++)
        core->cpu.state[words[i]] = core->fault_homes[i];
}

static int leave_by_fault(struct dr_core *core, int32_t slice) {
    uint64_t offset = core->cpu.fault_pc - (uint64_t)core->code.run;
    uint32_t number = dr_blocks_at(&core->blocks, offset);
    const struct dr_site *site =
        number == DR_NONE ? NULL : dr_blocks_site(&core->blocks, &core->blocks.blocks.at[number], offset);
    if (!site) {
        core->error = "generated code faulted where it has no access to guest memory";
        return DR_STOP_ERROR;
    }
    core->stats.faults++;
    store_homes(core, &core->blocks.blocks.at[number]);
    core->cpu.pc = site->pc;
    settle(core, slice, site->refund);
    return interpret(core, 1, false);
}

static int follow_jump(struct dr_core *core, uint32_t exit) {
    uint32_t target = dr_blocks_find(&core->blocks, core->cpu.pc);
    core->pending_exit = target == DR_NONE ? exit : DR_NONE;
    return target == DR_NONE || dr_link(core, exit, target) ? -1 : DR_STOP_ERROR;
}

static int leave_by_exit(struct dr_core *core, int32_t slice) {
    uint32_t number = dr_blocks_exit(&core->blocks, core->cpu.exit_pc - (uint64_t)core->code.run);
    if (number == DR_NONE) {
        core->error = "generated code left through an exit that is not recorded";
        return DR_STOP_ERROR;
    }
    const struct dr_exit *exit = &core->blocks.links.at[number].exit;
    core->stats.exits[exit->kind]++;
    settle(core, slice, exit->refund);
    if (exit->kind != DR_EXIT_INDIRECT)
        core->cpu.pc = exit->target;
    switch ((enum dr_exit_kind)exit->kind) {
    case DR_EXIT_JUMP:
        return follow_jump(core, number);
    case DR_EXIT_INTERPRET:
        return core->limit ? interpret(core, 1, false) : -1;
    case DR_EXIT_INDIRECT: {
        const struct dr_block *block = block_at_pc(core);
        if (block)
            dr_jump_cache_add(core, block);
        return -1;
    }
    case DR_EXIT_BUDGET:
        return -1;
    }
    return -1;
}

static int run_block(struct dr_core *core, const struct dr_block *block) {
    enter(core, block);
    int32_t slice = core->limit < (uint64_t)SLICE ? (int32_t)core->limit : SLICE;
    return core->cpu.fault_pc ? leave_by_fault(core, slice) : leave_by_exit(core, slice);
}

/* -- the loop -------------------------------------------------------------------------------------------------------- */

static int run_without_block(struct dr_core *core) {
    bool interpreting = core->config.tier == DR_TIER_INTERP;
    if (interpreting)
        return interpret(core, core->limit, false);
    if (core->config.tier == DR_TIER_JIT || becomes_hot(core))
        return DR_STOP_TRANSLATE;
    core->pending_exit = DR_NONE;
    return interpret(core, core->limit, true);
}

static int run_once(struct dr_core *core) {
    const struct dr_block *block = block_at_pc(core);
    if (!block)
        return run_without_block(core);
    if (block->insns > core->limit)
        return interpret(core, core->limit, false);
    return run_block(core, block);
}

int dr_run(struct dr_core *core, uint64_t limit) {
    int stop = -1;
    core->limit = limit;
    core->error = dr_window_bind(core);
    if (core->error)
        return DR_STOP_ERROR;
    if (atomic_exchange(&core->sync, false) && !dr_invalidate_changed(core))
        return DR_STOP_ERROR;
    while (stop < 0) {
        if (atomic_load_explicit(&core->stop, memory_order_relaxed))
            return DR_STOP_REQUEST;
        if (core->cpu.pc == core->until)
            return DR_STOP_UNTIL;
        if (!core->limit)
            return DR_STOP_BUDGET;
        stop = run_once(core);
    }
    return stop;
}
