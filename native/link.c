/* Installing, linking, and their exact inverses. An exit that is not linked gives back what was not executed and goes on to its own
 * call of the exit stub. Linked to a unit, it takes what that one charges, less what it gives back, and goes behind that one's
 * charge; or on to its own call, when the budget does not suffice. What happens at one time is written as one batch.
 */
#include <string.h>

#include "core.h"

static void flush_all(struct dr_core *core);

/* -- batches --------------------------------------------------------------------------------------------------------- */

static bool queue(struct dr_core *core, struct dr_patch patch) {
    if (!DR_RESERVE(core->batch, 1)) {
        dr_failure = "no memory for a batch of writes";
        return false;
    }
    core->batch.at[core->batch.count++] = patch;
    return true;
}

/* charge: what the unit there would take, were it entered at its start. */
static bool queue_branch(struct dr_core *core, const struct dr_link *link, uint32_t target, uint32_t charge) {
    uint32_t offset = link->unit->start + link->exit.link;
    return queue(core, (struct dr_patch){
                           .offset = offset, .target = target, .charge = (int32_t)charge - (int32_t)link->exit.refund});
}

/* Where it is too far to charge on the way, it is left to the unit. */
static bool queue_link(struct dr_core *core, const struct dr_link *link, const struct dr_block *block) {
    uint32_t body = block->start + block->body, offset = link->unit->start + link->exit.link;
    int32_t charge = (int32_t)block->insns - (int32_t)link->exit.refund;
    bool reaches = dr_branch_reaches(charge, (int64_t)body - (int64_t)offset);
    return reaches ? queue_branch(core, link, body, block->insns) : queue_branch(core, link, block->start, 0);
}

/* Units that died keep their places until the batch is written, for it may still undo links in them. */
static void forget_dead(struct dr_core *core) {
    for (size_t i = 0; i < core->dead.count; i++)
        dr_codemem_forget(&core->code, core->dead.at[i].address, core->dead.at[i].size);
    core->dead.count = 0;
}

static const char *write_batch(struct dr_core *core) {
    uint64_t since = core->recorder.on ? dr_nanoseconds() : 0;
    const char *error = dr_codemem_write(&core->code, core->batch.at, core->batch.count);
    if (core->recorder.on)
        dr_note_event(core, DR_EVENT_BATCH, 0, (uint32_t)core->batch.count, dr_nanoseconds() - since);
    return error;
}

static bool commit(struct dr_core *core) {
    size_t count = core->batch.count;
    if (core->code.region && dr_codemem_is_stale(&core->code)) {
        flush_all(core); /* the region was left to the parent of a fork, and with it what was to be changed */
        return true;
    }
    const char *error = count ? write_batch(core) : NULL;
    core->batch.count = 0;
    forget_dead(core);
    if (error) {
        flush_all(core); /* what is in the region is not what the tables say */
        dr_failure = error;
    }
    return !error;
}

/* -- links ----------------------------------------------------------------------------------------------------------- */

/* Whether control may come to a unit without the run loop. What nothing could be fetched for lies in no page, so a hook that is
 * added there would not find it. */
static bool is_reachable(const struct dr_core *core, const struct dr_block *block) {
    return block->range_count && !dr_hooks_at(core, (uint32_t)block->key, true);
}

static void note_link(struct dr_core *core, enum dr_event_kind kind, const struct dr_link *link) {
    if (link->unit->record && link->to->record)
        dr_note_event(core, kind, link->unit->record->serial, link->to->record->serial, (uint64_t)(link - link->unit->exits));
}

static bool link_exit(struct dr_core *core, struct dr_link *link, struct dr_block *block) {
    if (!link->exit.link || link->to || !link->unit->alive || !is_reachable(core, block))
        return true;
    link->to = block;
    link->next = block->incoming;
    block->incoming = link;
    DR_COUNT(core->stats.links, 1);
    note_link(core, DR_EVENT_LINK, link);
    return queue_link(core, link, block);
}

static bool unlink_exit(struct dr_core *core, struct dr_link *link) {
    note_link(core, DR_EVENT_UNLINK, link);
    link->to = NULL;
    link->next = NULL;
    DR_COUNT(core->stats.unlinks, 1);
    return queue_branch(core, link, link->unit->start + link->exit.link + DR_BRANCH_SIZE, 0);
}

static bool unlink_incoming(struct dr_core *core, struct dr_block *block) {
    bool good = true;
    for (struct dr_link *link = block->incoming, *next; link; link = next) {
        next = link->next;
        good = unlink_exit(core, link) && good;
    }
    block->incoming = NULL;
    return good;
}

/* Takes a dead unit's own links out of the lists of the units they go to. */
static void forget_outgoing(struct dr_block *block) {
    for (uint32_t i = 0; i < block->exit_count; i++) {
        struct dr_link *link = &block->exits[i];
        if (!link->to)
            continue;
        struct dr_link **at = &link->to->incoming;
        while (*at != link)
            at = &(*at)->next;
        *at = link->next;
        link->to = NULL;
        link->next = NULL;
    }
}

static struct dr_jump *jump_slot(struct dr_core *core, uint64_t key) {
    return &core->cpu.jumps[key / 2 % DR_JUMP_SLOTS];
}

/* A free slot has a key that belongs to another one, so no lookup can match it: 0, which is what memory holds at first. */
static void jump_clear(struct dr_core *core, struct dr_jump *jump) {
    jump->key = jump == core->cpu.jumps ? 2 : 0;
    jump->entry = NULL;
}

static void forget_jump(struct dr_core *core, uint64_t key) {
    struct dr_jump *jump = jump_slot(core, key);
    if (jump->key == key)
        jump_clear(core, jump);
}

void dr_jump_cache_add(struct dr_core *core, const struct dr_block *block) {
    if (!is_reachable(core, block) || block->key % 2)
        return;
    const void *entry = core->code.run + block->start;
    *jump_slot(core, block->key) = (struct dr_jump){block->key, dr_sign(entry, block->key, core->config.harden)};
}

/* -- deaths ---------------------------------------------------------------------------------------------------------- */

static void note_death(struct dr_core *core, const struct dr_block *block, enum dr_death reason, uint32_t address) {
    uint64_t number = core->stats.discarded;
    uint32_t serial = block->record ? block->record->serial : 0;
    struct dr_death_record death = {block->key, dr_instructions(core), reason, address, core->at, serial};
    core->deaths[number % DR_DEATH_LOG] = death;
    if (block->record)
        block->record->death = death;
    dr_note_event(core, DR_EVENT_DEATH, serial, reason, address);
    if (reason != DR_DEATH_BREAKPOINT && reason != DR_DEATH_HOOK)
        dr_catch(core, DR_CATCH_DEATH, (uint32_t)block->key, reason, address);
    DR_COUNT(core->stats.deaths[reason], 1);
    DR_COUNT(core->stats.discarded, 1);
}

static bool invalidate(struct dr_core *core, struct dr_block *block, enum dr_death reason, uint32_t address) {
    forget_jump(core, block->key);
    forget_outgoing(block);
    bool good = unlink_incoming(core, block) && DR_RESERVE(core->dead, 1);
    if (good)
        core->dead.at[core->dead.count++] = (struct dr_range){block->start, block->size};
    dr_blocks_kill(&core->blocks, block);
    note_death(core, block, reason, address);
    core->pending_exit = NULL;
    return good;
}

/* Whether a unit has outlived its guest bytes. What the guest stores to them is noticed at once, unless units compare by
 * themselves: the guest's word that it changed code is about those alone. */
static bool is_outdated(struct dr_core *core, const struct dr_block *block, enum dr_death reason) {
    return (block->checked || reason != DR_DEATH_FENCE) && !dr_block_is_current(block, &core->memory);
}

/* The live units of a generation: all, if they are evicted, or those that are outdated. */
static bool invalidate_in(struct dr_core *core, uint32_t generation, enum dr_death reason) {
    bool good = true;
    for (size_t i = 0; i < core->blocks.generations[generation].units.count; i++) {
        struct dr_block *block = core->blocks.generations[generation].units.at[i];
        if (block->alive && (reason == DR_DEATH_EVICTED || is_outdated(core, block, reason)))
            good = invalidate(core, block, reason, (uint32_t)block->key) && good;
    }
    return good;
}

static bool invalidate_changed(struct dr_core *core, enum dr_death reason) {
    bool good = true;
    for (uint32_t i = 0; i < core->blocks.generation_count; i++)
        good = invalidate_in(core, i, reason) && good;
    return commit(core) && good;
}

static void flush_all(struct dr_core *core) {
    dr_settle_samples(core);
    dr_note_event(core, DR_EVENT_FLUSH, 0, 0, core->blocks.alive);
    for (uint32_t i = 0; i < core->blocks.generation_count; i++) {
        struct dr_generation *generation = &core->blocks.generations[i];
        for (size_t unit = 0; unit < generation->units.count; unit++)
            if (generation->units.at[unit]->alive) {
                forget_jump(core, generation->units.at[unit]->key);
                note_death(core, generation->units.at[unit], DR_DEATH_FLUSH, 0);
                dr_blocks_kill(&core->blocks, generation->units.at[unit]);
            }
        if (generation->fill > generation->start)
            dr_codemem_forget(&core->code, generation->start, generation->fill - generation->start);
        dr_blocks_empty(&core->blocks, i);
    }
    core->blocks.current = 0;
    core->batch.count = core->dead.count = 0;
    jump_clear(core, core->cpu.jumps);
    core->pending_exit = NULL;
    DR_COUNT(core->stats.flushes, 1);
    dr_new_epoch(core);
}

/* -- guest memory that is code --------------------------------------------------------------------------------------- */

/* The units with bytes in a range die. */
static bool invalidate_bytes(struct dr_core *core, uint64_t address, uint64_t size, enum dr_death reason) {
    bool good = true;
    for (uint64_t page = address >> DR_PAGE_BITS; core->blocks.pages && page <= (address + size - 1) >> DR_PAGE_BITS; page++)
        for (struct dr_page_use *use = core->blocks.pages[page]; use;) {
            struct dr_block *block = use->unit;
            if (!dr_block_overlaps(block, address, size)) {
                use = use->next;
                continue;
            }
            good = invalidate(core, block, reason, (uint32_t)address) && good;
            use = core->blocks.pages[page]; /* the unit may have had several places in the list */
        }
    return good;
}

/* From now on, stores to the page go unnoticed, and the units in it compare their bytes whenever they are entered. */
static bool make_mixed(struct dr_core *core, uint32_t page, enum dr_death reason) {
    bool good = true;
    while (core->blocks.pages[page])
        good = invalidate(core, core->blocks.pages[page]->unit, reason, page << DR_PAGE_BITS) && good;
    DR_COUNT(core->stats.mixed_pages, 1);
    dr_note_event(core, DR_EVENT_MIXED, 0, 0, (uint64_t)page << DR_PAGE_BITS);
    good = dr_memory_mark(&core->memory, page, DR_MIXED, true) && good;
    dr_new_epoch(core);
    return good;
}

static bool unguard(struct dr_core *core, uint32_t page) {
    dr_decoded_unguard(core, page);
    return dr_memory_mark(&core->memory, page, DR_CODE, false);
}

/* Behind a store that faulted: a page without units is left alone, and one that is stored to often is code and data alike. */
static bool settle_page(struct dr_core *core, uint32_t page, enum dr_death reason) {
    uint16_t access = core->memory.access[page];
    if (!(access & DR_CODE))
        return true;
    bool often = reason == DR_DEATH_STORE && ++core->stores[page % DR_STORE_COUNTS] >= DR_MOST_STORES;
    if (often && !(access & DR_MIXED)) {
        core->stores[page % DR_STORE_COUNTS] = 0;
        return make_mixed(core, page, reason) && unguard(core, page);
    }
    return core->blocks.pages[page] || unguard(core, page);
}

/* A host page faults for all guest pages in it. */
static bool code_written(struct dr_core *core, uint64_t address, uint64_t size, enum dr_death reason) {
    uint64_t host = core->memory.host, first = address & ~(host - 1), end = (address + size + host - 1) & ~(host - 1);
    bool good = invalidate_bytes(core, address, size, reason);
    for (uint64_t at = first; at < end; at += DR_PAGE)
        good = settle_page(core, (uint32_t)(at >> DR_PAGE_BITS), reason) && good;
    return commit(core) && good;
}

/* Stores to the bytes that a unit was made from are to be noticed. */
static bool guard_pages(struct dr_core *core, const struct dr_unit *unit) {
    for (uint32_t i = 0; !unit->checked && i < unit->range_count; i++) {
        const struct dr_range *range = &unit->ranges[i];
        uint32_t first = range->address >> DR_PAGE_BITS, last = (range->address + range->size - 1) >> DR_PAGE_BITS;
        for (uint32_t page = first; range->size && page <= last; page++)
            if (!(core->memory.access[page] & DR_CODE) && !dr_memory_mark(&core->memory, page, DR_CODE, true)) {
                dr_failure = "guest memory with code could not be write-protected";
                return false;
            }
    }
    return true;
}

/* -- installing ------------------------------------------------------------------------------------------------------ */

/* What the patches of a batch refer to stays where it is until they are written. */
static bool reserve(struct dr_core *core, const struct dr_unit *const *units, uint32_t count) {
    size_t links = 0, code = 0;
    for (uint32_t i = 0; i < count; i++) {
        links += units[i]->exit_count;
        code += units[i]->count_count ? units[i]->code_size : 0;
    }
    core->links.count = core->counting.count = 0;
    if (DR_RESERVE(core->links, links) && DR_RESERVE(core->counting, code))
        return true;
    dr_failure = "no memory for the links and counters of units";
    return false;
}

/* The offsets of what may be linked. */
static const uint32_t *collect_links(struct dr_core *core, const struct dr_unit *unit, uint32_t *count) {
    const uint32_t *first = core->links.at + core->links.count;
    for (uint32_t i = 0; i < unit->exit_count; i++)
        if (unit->exits[i].link)
            core->links.at[core->links.count++] = unit->exits[i].link;
    *count = (uint32_t)(core->links.at + core->links.count - first);
    return first;
}

/* The oldest generation makes room for a new one. */
static bool evict(struct dr_core *core) {
    uint32_t next = (core->blocks.current + 1) % core->blocks.generation_count;
    const struct dr_generation *generation = &core->blocks.generations[next];
    bool used = generation->fill > generation->start;
    dr_settle_samples(core);
    if (used)
        dr_note_event(core, DR_EVENT_EVICT, 0, next, generation->fill - generation->start);
    bool good = invalidate_in(core, next, DR_DEATH_EVICTED) && commit(core);
    if (used)
        dr_codemem_forget(&core->code, generation->start, generation->fill - generation->start);
    dr_blocks_empty(&core->blocks, next);
    core->blocks.current = next;
    core->pending_exit = NULL;
    DR_COUNT(core->stats.evictions, used);
    return good;
}

static bool make_room(struct dr_core *core, const struct dr_unit *unit) {
    if (!dr_blocks_fit(&core->blocks, unit) && !evict(core))
        return false;
    if (!dr_blocks_fit(&core->blocks, unit))
        dr_failure = "a unit is larger than the code cache";
    return !dr_failure;
}

/* The code of a unit, changed so that it counts in its own counters. NULL: it has none. */
static const uint8_t *own_counters(struct dr_core *core, const struct dr_block *block, const struct dr_unit *unit) {
    if (!unit->count_count)
        return unit->code;
    if (!block->record) {
        dr_failure = "a unit that counts, and is not recorded";
        return NULL;
    }
    uint8_t *code = core->counting.at + core->counting.count;
    core->counting.count += unit->code_size;
    memcpy(code, unit->code, unit->code_size);
    for (uint32_t i = 0; i < unit->count_count; i++)
        dr_move_count(code + unit->counts[i], block->record->counter_first);
    return code;
}

static void note_install(struct dr_core *core, const struct dr_block *block) {
    if (!block->record)
        return;
    block->record->serial = (uint32_t)core->stats.installed;
    block->record->batch = core->code.toggles + 1;
    dr_note_event(core, DR_EVENT_INSTALL, block->record->serial, (uint32_t)block->record->batch, block->size);
}

static struct dr_block *add_unit(struct dr_core *core, const struct dr_unit *unit) {
    struct dr_block *block = dr_blocks_add(&core->blocks, unit);
    if (!block) {
        dr_failure = "no memory for the tables of the code cache";
        return NULL;
    }
    dr_decoded_forget(core, (uint32_t)block->key, 1);
    DR_COUNT(core->stats.installed, 1);
    note_install(core, block);
    const uint8_t *code = own_counters(core, block, unit);
    struct dr_patch patch = {.offset = block->start, .code = code, .size = unit->code_size,
                             .target = block->start + unit->body, .charge = (int32_t)unit->insns};
    patch.links = collect_links(core, unit, &patch.link_count);
    return code && queue(core, patch) ? block : NULL;
}

/* Links the exit that led to the block, if it was that one that was missing. */
static bool link_waiting(struct dr_core *core, struct dr_block *block) {
    struct dr_link *waiting = core->pending_exit;
    core->pending_exit = NULL;
    return !waiting || waiting->exit.target != block->key || link_exit(core, waiting, block);
}

/* Without a serial if what it was made from is no more. */
static bool install_unit(struct dr_core *core, const struct dr_unit *unit, uint64_t *serial) {
    *serial = 0;
    if (unit->epoch != dr_epoch(core))
        return true;
    if ((dr_failure = dr_unit_problem(core, unit)))
        return false;
    if (unit->kept && !dr_unit_suits(core, unit))
        return true;
    if (!guard_pages(core, unit))
        return false;
    if (!dr_unit_is_current(core, unit))
        return true;
    struct dr_block *old = dr_blocks_find(&core->blocks, unit->key);
    if (old && !(invalidate(core, old, DR_DEATH_FLUSH, 0) && commit(core)))
        return false;
    if (!make_room(core, unit))
        return false;
    struct dr_block *block = add_unit(core, unit);
    *serial = core->stats.installed;
    return block && link_waiting(core, block);
}

static bool install(struct dr_core *core, const struct dr_unit *const *units, uint32_t count, uint64_t *serials) {
    bool good = reserve(core, units, count);
    for (uint32_t i = 0; good && i < count; i++)
        good = install_unit(core, units[i], &serials[i]);
    return good && commit(core);
}

/* -- from outside: with the tables locked ---------------------------------------------------------------------------- */

/* Functions that change the tables call each other. */
void dr_make_lock(struct dr_core *core) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&core->tables, &attributes);
    pthread_mutexattr_destroy(&attributes);
    core->forks = dr_forks;
}

/* In the child of a fork, the lock may be that of a thread that the child does not have. */
void dr_lock_tables(struct dr_core *core) {
    if (core->forks != dr_forks)
        dr_make_lock(core);
    pthread_mutex_lock(&core->tables);
}

void dr_unlock_tables(struct dr_core *core) {
    pthread_mutex_unlock(&core->tables);
}

/* Whether this thread may change the tables: generated code may be running, and only its own thread knows where. */
static bool lock_to_change(struct dr_core *core) {
    dr_lock_tables(core);
    const struct dr_codemem *code = &core->code;
    bool may = !code->owned || dr_codemem_is_stale(code) || pthread_equal(code->owner, pthread_self());
    if (!may) {
        dr_failure = "the code cache was changed by a thread that does not own it";
        dr_unlock_tables(core);
    }
    return may;
}

/* What failed half-way leaves nothing behind. */
static bool unlock(struct dr_core *core, bool good) {
    if (!good && core->blocks.table)
        flush_all(core);
    dr_unlock_tables(core);
    return good;
}

bool dr_link(struct dr_core *core, struct dr_link *link, struct dr_block *block) {
    return lock_to_change(core) && unlock(core, link_exit(core, link, block) && commit(core));
}

bool dr_invalidate(struct dr_core *core, struct dr_block *block, enum dr_death reason, uint32_t address) {
    return lock_to_change(core) && unlock(core, invalidate(core, block, reason, address) && commit(core));
}

bool dr_invalidate_changed(struct dr_core *core, enum dr_death reason) {
    return lock_to_change(core) && unlock(core, invalidate_changed(core, reason));
}

bool dr_code_written(struct dr_core *core, uint64_t address, uint64_t size, enum dr_death reason) {
    if (!core->blocks.pages)
        return true; /* everything is interpreted: there are no units */
    return lock_to_change(core) && unlock(core, code_written(core, address, size, reason));
}

static bool discard(struct dr_core *core, uint64_t address, uint64_t size, enum dr_death reason) {
    bool good = invalidate_bytes(core, address, size, reason);
    return commit(core) && good;
}

bool dr_discard(struct dr_core *core, uint64_t address, uint64_t size, enum dr_death reason) {
    return lock_to_change(core) && unlock(core, discard(core, address, size, reason));
}

static bool erase(struct dr_core *core, uint64_t key) {
    struct dr_block *block = dr_blocks_find(&core->blocks, key);
    dr_new_epoch(core); /* it is to be made in another way */
    return !block || (invalidate(core, block, DR_DEATH_FLUSH, 0) && commit(core));
}

bool dr_erase_unit(struct dr_core *core, uint64_t key) {
    return lock_to_change(core) && unlock(core, erase(core, key));
}

bool dr_install_units(struct dr_core *core, const struct dr_unit *const *units, uint32_t count, uint64_t *serials) {
    return lock_to_change(core) && unlock(core, install(core, units, count, serials));
}

void dr_flush_all(struct dr_core *core) {
    dr_lock_tables(core);
    flush_all(core);
    dr_unlock_tables(core);
}
