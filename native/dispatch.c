/* The run loop: finds the unit at the guest's pc, runs it, and looks why it came back. */
#include <signal.h>
#include <string.h>

#include "core.h"
#include "host.h"

/* Requests from other threads end a slice (dr_attract). It also bounds by how much a timer of the host's clock is late. */
#define SLICE INT32_C(500000)
#define SLICE_WITH_HOST_CLOCK INT32_C(20000)

static struct dr_block *block_at_pc(struct dr_core *core) {
    struct dr_block *block = dr_blocks_find(&core->blocks, core->cpu.pc);
    DR_COUNT(core->stats.lookups, 1);
    DR_COUNT(core->stats.misses, !block);
    return block;
}

/* -- the interpreter ------------------------------------------------------------------------------------------------ */

static void retire(struct dr_core *core, uint64_t count) {
    DR_COUNT(core->stats.instructions, count);
    core->limit -= count;
    if (count) {
        core->hooks.passed = -1;
        core->hooks.resumes = false;
    }
}

/* Has the block at pc translated in the background; false: that is off. If nothing comes of it, it becomes hot once more. */
static bool ask_for(struct dr_core *core) {
    if (!dr_want(core, core->cpu.pc))
        return false;
    *dr_heat(core, core->cpu.pc) = 0;
    return true;
}

/* What a step comes to: -1 to go round the loop, else why dr_run returns. */
static int conclude(struct dr_core *core, enum dr_status status) {
    if (status == DR_HELD) {
        dr_hooks_held(core);
        return DR_STOP_HOOK;
    }
    core->hooks.begins = status != DR_STEPPED;
    if (status == DR_TRAPPED)
        return dr_trapped(core);
    retire(core, 1);
    DR_COUNT(core->stats.interpreted, 1);
    if (core->recorder.on)
        dr_note_interpreted(core, core->at);
    if (core->event) {
        int event = core->event;
        core->event = 0;
        return event;
    }
    if ((status == DR_SYNC && !dr_invalidate_changed(core, DR_DEATH_FENCE)) || core->failed) {
        core->failed = false;
        return DR_STOP_ERROR;
    }
    return status == DR_WAITING ? dr_waiting(core) : -1;
}

static bool has_unit(const struct dr_core *core) {
    return dr_blocks_find(&core->blocks, core->cpu.pc);
}

static enum dr_status step(struct dr_core *core) {
    core->at = core->cpu.pc;
    return core->guest->step(core);
}

static int interpret_one(struct dr_core *core) {
    return conclude(core, step(core));
}

/* Whether the loop has to look before the next instruction. */
static bool must_look(struct dr_core *core) {
    return atomic_load_explicit(&core->stop, memory_order_relaxed) || core->hurried ||
           atomic_load_explicit(&core->sync, memory_order_relaxed) ||
           atomic_load_explicit(&core->background.ready, memory_order_relaxed) ||
           dr_hooks_at(core, core->cpu.pc, core->hooks.begins) || (core->own_traps && dr_must_attend(core));
}

/* Steps until something else has to look: as `conclude`. */
static int interpret(struct dr_core *core, uint64_t steps) {
    while (steps--) {
        enum dr_status status = step(core);
        int stop = conclude(core, status);
        if (stop >= 0 || status == DR_TRAPPED || status == DR_WAITING || must_look(core))
            return stop;
    }
    return -1;
}

/* Likewise, fast. heats: up to the next block that has a unit, or becomes hot. */
static int interpret_decoded(struct dr_core *core, int32_t steps, bool heats) {
    uint64_t end = core->limit - (uint64_t)steps;
    while (core->limit > end) {
        uint32_t most = core->recorder.on ? 1 : (uint32_t)(core->limit - end); /* a recorder is told of each */
        enum dr_status status = core->guest->run(core, most, heats);
        int stop = conclude(core, status);
        bool leaves = status == DR_TRAPPED || status == DR_WAITING || (heats && (status == DR_JUMPED || has_unit(core)));
        if (stop >= 0 || leaves || must_look(core))
            return stop;
    }
    return -1;
}

/* One step, of an instruction whose access generated code could not make. */
static int interpret_access(struct dr_core *core, uint32_t pc) {
    core->slow_access = false;
    int stop = interpret_one(core);
    return core->slow_access && !dr_site_faulted(core, pc) ? DR_STOP_ERROR : stop;
}

/* A unit dies with its bytes, so what they mean is found out once. */
static enum dr_status step_left(struct dr_core *core, struct dr_link *link) {
    struct dr_guest_insn insn = {.word = link->word};
    dr_handler *handler = link->handler;
    if (!handler && !(handler = core->guest->fetch(core, &insn)))
        return DR_TRAPPED;
    if (!link->handler && dr_block_holds(link->unit, core->cpu.pc, insn.length)) {
        link->handler = handler;
        link->word = insn.word;
    }
    return handler(core, insn.word);
}

/* One step, of an instruction that generated code was not asked to do. */
static int interpret_left(struct dr_core *core, struct dr_link *link) {
    uint32_t pc = core->at = core->cpu.pc;
    core->slow_access = false;
    int stop = conclude(core, step_left(core, link));
    return core->slow_access || dr_site_calm(core, pc) ? stop : DR_STOP_ERROR;
}

/* -- generated code -------------------------------------------------------------------------------------------------- */

static int32_t slice_of(const struct dr_core *core) {
    bool by_host = core->own_traps && !core->clock.instructions_per_tick;
    uint64_t longest = by_host ? SLICE_WITH_HOST_CLOCK : SLICE;
    return (int32_t)(core->limit < longest ? core->limit : longest);
}

/* Gives back what was charged and not executed, and counts what was: `slice` less what is left of it. What a unit says of itself
 * is not verified: false if that cannot be. */
static bool settle(struct dr_core *core, int32_t slice, uint32_t refund) {
    int64_t left = (int64_t)core->cpu.budget + refund;
    bool can_be = left >= 0 && left <= slice;
    retire(core, can_be ? (uint64_t)(slice - left) : (uint64_t)slice);
    if (!can_be)
        dr_failure = "a unit has not counted the instructions that it says";
    return can_be;
}

/* Puts the home registers where the unit that faulted kept them for. */
static void store_homes(struct dr_core *core, const struct dr_block *block) {
    uint8_t words[DR_MAX_HOMES];
    memcpy(words, core->cpu.homes, sizeof words);
    for (uint32_t i = 0; i < block->loan_count; i++)
        words[block->loans[i].home] = (uint8_t)block->loans[i].word;
    for (unsigned i = 0; i < DR_HOST_HOMES; i++)
        core->cpu.state[words[i]] = core->fault_registers[i];
}

static uint32_t recovered(const struct dr_core *core, const struct dr_recovery *recovery) {
    switch (recovery->source) {
    case DR_FROM_REGISTER:
        return core->fault_registers[recovery->number] + recovery->plus;
    case DR_FROM_WORD:
        return core->cpu.state[recovery->number] + recovery->plus;
    default:
        return recovery->plus;
    }
}

/* Makes the writes that the unit has deferred to a site. One may be from a word that another one is to. */
static void recover(struct dr_core *core, const struct dr_block *block, uint32_t site) {
    uint32_t values[DR_STATE_WORDS];
    uint64_t written = 0;
    for (uint32_t i = 0; i < block->recovery_count; i++) {
        const struct dr_recovery *recovery = &block->recoveries[i];
        if (recovery->first > site || recovery->last < site)
            continue;
        values[recovery->word] = recovered(core, recovery);
        written |= UINT64_C(1) << recovery->word;
    }
    for (uint32_t word = 0; word < DR_STATE_WORDS; word++)
        if (written >> word & 1)
            core->cpu.state[word] = values[word];
}

/* Why generated code faulted where no access of the guest's is. */
static const char *strange_fault(const struct dr_core *core, uint64_t offset) {
    uint8_t code[DR_LONGEST_INSN];
    if (offset > core->code.size - sizeof code)
        return "generated code jumped out of the code cache: a code pointer was changed";
    dr_codemem_read(&core->code, code, (uint32_t)offset, sizeof code);
    if (dr_is_authenticated_branch(code))
        return "a code pointer was changed: its authentication failed";
    if (core->fault_signal == SIGILL)
        return core->config.harden & DR_BTI ? "an indirect jump went to a place without a landing pad"
                                            : "generated code holds an instruction that the processor does not have";
    return "generated code faulted where it has no access to guest memory";
}

static int leave_by_fault(struct dr_core *core, int32_t slice) {
    uint64_t offset = core->cpu.fault_pc - (uint64_t)core->code.run;
    const struct dr_block *block = dr_blocks_at(&core->blocks, offset);
    bool access = core->fault_signal == SIGSEGV || core->fault_signal == SIGBUS;
    const struct dr_site *site = block && access ? dr_block_site(block, offset) : NULL;
    if (!site) {
        dr_failure = strange_fault(core, offset);
        return DR_STOP_ERROR;
    }
    DR_COUNT(core->stats.faults, 1);
    if (block->record)
        DR_COUNT(block->record->site_faults[site - block->sites], 1);
    store_homes(core, block);
    recover(core, block, (uint32_t)(site - block->sites));
    core->cpu.pc = site->pc;
    if (!settle(core, slice, site->refund))
        return DR_STOP_ERROR;
    return interpret_access(core, site->pc);
}

static int follow_jump(struct dr_core *core, struct dr_link *link) {
    struct dr_block *target = block_at_pc(core);
    core->pending_exit = target ? NULL : link;
    return !target || dr_link(core, link, target) ? -1 : DR_STOP_ERROR;
}

/* The interpreter does one instruction; unless it was a unit's own comparison that found it outdated. */
static int leave_to_interpreter(struct dr_core *core, struct dr_link *link) {
    struct dr_block *unit = link->unit;
    if (unit->checked && unit->alive && !dr_block_is_current(unit, &core->memory))
        return dr_invalidate(core, unit, DR_DEATH_STORE, (uint32_t)unit->key) ? -1 : DR_STOP_ERROR;
    return core->limit ? interpret_left(core, link) : -1;
}

/* Behind its head, a unit has no beginning of a basic block that is hooked; where none is, it does not matter. */
static void note_block(struct dr_core *core, const struct dr_link *link) {
    if (link->exit.kind != DR_EXIT_INTERPRET)
        core->hooks.begins = !link->exit.inside;
    else if (link->exit.target != link->unit->key)
        core->hooks.begins = false;
}

/* An exit that is linked comes to its call when the budget does not suffice. */
static enum dr_exit_kind kind_of(const struct dr_link *link) {
    return link->to ? DR_EXIT_BUDGET : (enum dr_exit_kind)link->exit.kind;
}

/* What was charged and not executed when an exit came to its call. A link has given back what its own unit did not execute; if it
 * is linked, it has charged for the other one. */
static uint32_t owed(const struct dr_link *link) {
    if (!link->exit.link)
        return link->exit.refund;
    return link->to ? link->to->insns : 0;
}

static int leave_by_exit(struct dr_core *core, int32_t slice) {
    struct dr_link *link = dr_blocks_exit(&core->blocks, core->cpu.exit_pc - (uint64_t)core->code.run);
    if (!link) {
        dr_failure = "generated code left through an exit that is not recorded";
        return DR_STOP_ERROR;
    }
    const struct dr_exit *exit = &link->exit;
    enum dr_exit_kind kind = kind_of(link);
    DR_COUNT(core->stats.exits[kind], 1);
    if (link->unit->record && !link->to)
        DR_COUNT(link->unit->record->missed[link - link->unit->exits], 1);
    if (!settle(core, slice, owed(link)))
        return DR_STOP_ERROR;
    if (exit->kind != DR_EXIT_INDIRECT)
        core->cpu.pc = exit->target;
    note_block(core, link);
    switch (kind) {
    case DR_EXIT_JUMP:
        return follow_jump(core, link);
    case DR_EXIT_INTERPRET:
        return leave_to_interpreter(core, link);
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
    int32_t slice = slice_of(core);
    core->cpu.budget = slice;
    core->decoded.runs++;
    dr_run_code(core, core->code.run + block->start);
    return core->cpu.fault_pc ? leave_by_fault(core, slice) : leave_by_exit(core, slice);
}

/* -- the loop -------------------------------------------------------------------------------------------------------- */

/* A single step is not worth a translation. */
static int run_without_block(struct dr_core *core) {
    if (core->limit == 1)
        return interpret_one(core);
    if (core->config.tier == DR_TIER_INTERP)
        return interpret_decoded(core, slice_of(core), false);
    if (core->config.tier == DR_TIER_JIT || (dr_heats(core, core->cpu.pc) && !ask_for(core)))
        return DR_STOP_TRANSLATE;
    core->pending_exit = NULL;
    return interpret_decoded(core, slice_of(core), true);
}

/* A fork has left the code region to the parent. */
static bool reopen(struct dr_core *core) {
    struct dr_codemem old = core->code;
    const char *policy = dr_codemem_policy(&old);
    dr_flush_all(core);
    dr_codemem_close(&core->code);
    old.staged = NULL;
    old.staged_room = 0;
    dr_failure = dr_codemem_open(&core->code, policy, old.size, old.rules);
    if (dr_failure)
        core->code = old; /* to be tried again */
    else if (old.owned)
        dr_codemem_own(&core->code);
    return !dr_failure;
}

static bool is_page_hooked(const struct dr_core *core) {
    return dr_memory_page(&core->memory, core->cpu.pc) & DR_HOOKED;
}

static int run_once(struct dr_core *core) {
    if (core->code.region && dr_codemem_is_stale(&core->code) && !reopen(core))
        return DR_STOP_ERROR;
    if (core->observer.trail.pcs)
        dr_note_step(core);
    if (dr_hooks_resume(&core->hooks, core->cpu.pc) || core->observer.stay_size || core->observer.trail.pcs)
        return interpret_one(core);
    const struct dr_block *block = block_at_pc(core);
    if (!block)
        return run_without_block(core);
    if (block->insns > core->limit)
        return interpret(core, core->limit);
    return run_block(core, block);
}

/* Guest memory was changed from outside. */
static bool catch_up(struct dr_core *core) {
    atomic_store(&core->sync, false);
    dr_decoded_doubt(&core->decoded);
    return dr_invalidate_changed(core, DR_DEATH_HOST_WRITE);
}

/* Of the range that it was to stay in. */
static bool is_outside(const struct dr_core *core) {
    const struct dr_observer *observer = &core->observer;
    return observer->stay_size && core->cpu.pc - observer->stay_start >= observer->stay_size;
}

static int run(struct dr_core *core) {
    int stop = -1;
    dr_failure = dr_codemem_is_writing() ? "a guest was to run while its code was written" : dr_window_bind(core);
    if (!dr_failure)
        dr_failure = dr_faults_install();
    if (dr_failure)
        return DR_STOP_ERROR;
    while (stop < 0) {
        core->hurried = false;
        if (atomic_load_explicit(&core->asked, memory_order_relaxed))
            dr_answer(core);
        if (atomic_load_explicit(&core->sync, memory_order_relaxed) && !catch_up(core))
            return DR_STOP_ERROR;
        if (atomic_load_explicit(&core->stop, memory_order_relaxed))
            return DR_STOP_REQUEST;
        if (atomic_load_explicit(&core->background.ready, memory_order_relaxed) &&
            atomic_exchange(&core->background.ready, false))
            return DR_STOP_READY;
        if (core->own_traps && !dr_is_calm(core))
            dr_attend(core);
        if (atomic_load_explicit(&core->observer.alert, memory_order_relaxed) && (stop = dr_alerted(core)) >= 0)
            return stop;
        if (is_outside(core))
            return DR_STOP_UNTIL;
        if (core->cpu.pc == core->until)
            return DR_STOP_UNTIL;
        if (!core->limit && !core->observer.looks)
            return DR_STOP_BUDGET;
        if (core->waits >= 0 && dr_still_waits(core))
            return DR_STOP_WAIT;
        if (is_page_hooked(core) && dr_hooks_stop(core))
            return DR_STOP_HOOK;
        if (!core->limit)
            return DR_STOP_BUDGET;
        stop = run_once(core);
    }
    return stop;
}

int dr_run(struct dr_core *core, uint64_t limit) {
    core->limit = limit;
    core->beyond = 0;
    atomic_store(&core->attend, true); /* the limit is to end at the deadline */
    struct dr_core *before = dr_faults_expect(core);
    dr_enter_run(core, true);
    dr_hooks_enter(core);
    int stop = run(core);
    dr_hooks_leave(core);
    dr_enter_run(core, false);
    dr_faults_expect(before);
    core->background.left = dr_nanoseconds();
    return stop;
}
