/* Installing, linking, and their exact inverses. An exit that is not linked branches to its own call of the exit stub; linking
 * patches the branch's distance, unlinking puts the old one back. */
#include <string.h>

#include "core.h"
#include "host.h"

/* The branch of an exit, patched to go to `target` (an offset in the region). */
static struct dr_patch branch_patch(const struct dr_core *core, const struct dr_link *link, uint32_t target,
                                    struct dr_branch *buffer) {
    const struct dr_block *block = &core->blocks.blocks.at[link->unit];
    uint32_t at = block->start + link->exit.link;
    dr_branch_encode(buffer, (int64_t)target - (int64_t)at);
    return (struct dr_patch){at, buffer->bytes, DR_BRANCH_SIZE};
}

static bool written(struct dr_core *core, const struct dr_patch *patches, size_t count) {
    const char *error = dr_codemem_write(&core->code, patches, count);
    if (error)
        core->error = error;
    return !error;
}

static void note_link(struct dr_core *core, uint32_t exit, uint32_t number) {
    struct dr_link *link = &core->blocks.links.at[exit];
    struct dr_block *block = &core->blocks.blocks.at[number];
    link->to = number;
    link->next = block->incoming;
    block->incoming = exit;
    core->stats.links++;
}

bool dr_link(struct dr_core *core, uint32_t exit, uint32_t number) {
    struct dr_link *link = &core->blocks.links.at[exit];
    if (!link->exit.link || link->to != DR_NONE || !core->blocks.blocks.at[link->unit].alive)
        return true;
    struct dr_branch buffer;
    struct dr_patch patch = branch_patch(core, link, core->blocks.blocks.at[number].start, &buffer);
    if (!written(core, &patch, 1))
        return false;
    note_link(core, exit, number);
    return true;
}

/* Where an exit that is not linked goes: its call of the exit stub. */
static uint32_t own_stub(const struct dr_core *core, const struct dr_link *link) {
    return core->blocks.blocks.at[link->unit].start + link->exit.ret - DR_EXIT_CALL_SIZE;
}

static bool unlink_exit(struct dr_core *core, struct dr_link *link) {
    struct dr_branch buffer;
    struct dr_patch patch = branch_patch(core, link, own_stub(core, link), &buffer);
    link->to = link->next = DR_NONE;
    core->stats.unlinks++;
    return written(core, &patch, 1);
}

static bool unlink_incoming(struct dr_core *core, struct dr_block *block) {
    bool good = true;
    for (uint32_t exit = block->incoming, next; exit != DR_NONE; exit = next) {
        next = core->blocks.links.at[exit].next;
        good = unlink_exit(core, &core->blocks.links.at[exit]) && good;
    }
    block->incoming = DR_NONE;
    return good;
}

/* Takes a dead unit's own links out of the lists of the units they go to. */
static void forget_outgoing(struct dr_core *core, const struct dr_block *block) {
    struct dr_link *links = core->blocks.links.at;
    for (uint32_t exit = block->first_exit; exit < block->first_exit + block->exit_count; exit++) {
        if (links[exit].to == DR_NONE)
            continue;
        uint32_t *at = &core->blocks.blocks.at[links[exit].to].incoming;
        while (*at != exit)
            at = &links[*at].next;
        *at = links[exit].next;
        links[exit].to = links[exit].next = DR_NONE;
    }
}

static struct dr_jump *jump_slot(struct dr_core *core, uint64_t key) {
    return &core->cpu.jumps[key >> core->config.jump_shift & (DR_JUMP_SLOTS - 1)];
}

/* A free slot has a key that belongs to its neighbour, so no lookup can match it. */
static void jump_clear(struct dr_core *core, size_t slot) {
    core->cpu.jumps[slot] = (struct dr_jump){(slot ^ 1) << core->config.jump_shift, NULL};
}

void dr_jump_cache_add(struct dr_core *core, const struct dr_block *block) {
    *jump_slot(core, block->key) = (struct dr_jump){block->key, core->code.run + block->start};
}

bool dr_invalidate(struct dr_core *core, uint32_t number) {
    struct dr_block *block = &core->blocks.blocks.at[number];
    struct dr_jump *jump = jump_slot(core, block->key);
    if (jump->key == block->key)
        jump_clear(core, (size_t)(jump - core->cpu.jumps));
    forget_outgoing(core, block);
    bool good = unlink_incoming(core, block);
    dr_blocks_kill(&core->blocks, number);
    core->stats.discarded++;
    core->pending_exit = DR_NONE;
    return good;
}

bool dr_invalidate_changed(struct dr_core *core) {
    bool good = true;
    for (uint32_t i = 0; i < core->blocks.blocks.count; i++) {
        const struct dr_block *block = &core->blocks.blocks.at[i];
        if (block->alive && !dr_blocks_current(&core->blocks, block, &core->memory))
            good = dr_invalidate(core, i) && good;
    }
    return good;
}

void dr_flush_all(struct dr_core *core) {
    dr_blocks_clear(&core->blocks);
    for (size_t i = 0; i < DR_JUMP_SLOTS; i++)
        jump_clear(core, i);
    core->pending_exit = DR_NONE;
    core->stats.flushes++;
}

static bool fits(const struct dr_core *core, const struct dr_unit *unit) {
    return unit->code_size <= core->code.size - core->blocks.code_end;
}

/* Whether the offsets that a unit brings along lie in its code, and its guest bytes where there are any. */
static const char *check(const struct dr_core *core, const struct dr_unit *unit) {
    for (uint32_t i = 0; i < unit->exit_count; i++) {
        const struct dr_exit *exit = &unit->exits[i];
        if (exit->ret > unit->code_size || exit->ret < DR_EXIT_CALL_SIZE || exit->kind > DR_EXIT_BUDGET)
            return "a unit has an exit outside its code";
        if (exit->link && (exit->link > unit->code_size || unit->code_size - exit->link < DR_BRANCH_SIZE))
            return "a unit has a link outside its code";
    }
    for (uint32_t i = 0; i < unit->range_count; i++)
        if (dr_memory_check(&core->memory, unit->ranges[i].address, unit->ranges[i].size, 0) >= 0)
            return "a unit was made from guest memory that is not mapped";
    for (uint32_t i = 0; i < unit->loan_count; i++)
        if (unit->loans[i].home >= DR_HOST_HOMES || unit->loans[i].word >= DR_STATE_WORDS)
            return "a unit lends a home that is none, or to no word of the state";
    return NULL;
}

bool dr_install_unit(struct dr_core *core, const struct dr_unit *unit) {
    if ((core->error = check(core, unit)))
        return false;
    uint32_t old = dr_blocks_find(&core->blocks, unit->key);
    if (old != DR_NONE && !dr_invalidate(core, old))
        return false;
    if (!fits(core, unit))
        dr_flush_all(core);
    if (!fits(core, unit)) {
        core->error = "a unit is larger than the code cache";
        return false;
    }
    uint32_t start = core->blocks.code_end;
    struct dr_patch patch = {start, unit->code, unit->code_size};
    if (!written(core, &patch, 1))
        return false;
    uint32_t number = dr_blocks_add(&core->blocks, unit, start, core->memory.base);
    if (number == DR_NONE) {
        core->error = "no memory for the tables of the code cache";
        return false;
    }
    core->blocks.code_end = start + (uint32_t)((unit->code_size + DR_CODE_ALIGN - 1) & ~(size_t)(DR_CODE_ALIGN - 1));
    if (core->blocks.code_end > core->code.size)
        core->blocks.code_end = (uint32_t)core->code.size;
    core->stats.installed++;
    uint32_t waiting = core->pending_exit;
    core->pending_exit = DR_NONE;
    bool awaited = waiting != DR_NONE && core->blocks.links.at[waiting].exit.target == unit->key;
    return !awaited || dr_link(core, waiting, number);
}
