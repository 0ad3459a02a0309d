#include "hooks.h"

#include <stdlib.h>
#include <string.h>

#include "conditions.h"
#include "core.h"

#define BIT(kind) (UINT32_C(1) << (kind))

static const uint16_t page_flags[DR_HOOKS] = {
    [DR_HOOK_CODE] = DR_HOOKED,       [DR_HOOK_BLOCK] = DR_HOOKED,       [DR_HOOK_READ] = DR_WATCH_READ,
    [DR_HOOK_WRITE] = DR_WATCH_WRITE, [DR_HOOK_STORED] = DR_WATCH_STORED,
};

/* -- ranges ---------------------------------------------------------------------------------------------------------- */

/* The number of edges up to an address. */
static size_t edges_to(const struct dr_edges *edges, uint64_t address) {
    size_t low = 0, high = edges->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (edges->at[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t depth_before(const struct dr_edges *edges, size_t index) {
    return index ? edges->at[index - 1].depth : 0;
}

static uint32_t always_before(const struct dr_edges *edges, size_t index) {
    return index ? edges->at[index - 1].always : 0;
}

/* Behind addresses that are in no range, an edge begins one. */
static bool overlaps(const struct dr_edges *edges, uint64_t start, uint64_t end) {
    size_t index = edges_to(edges, start);
    return depth_before(edges, index) || (index < edges->count && edges->at[index].address < end);
}

/* As overlaps, of ranges without a condition. */
static bool overlaps_always(const struct dr_edges *edges, uint64_t start, uint64_t end) {
    size_t index = edges_to(edges, start);
    bool found = always_before(edges, index);
    for (; !found && index < edges->count && edges->at[index].address < end; index++)
        found = edges->at[index].always;
    return found;
}

static void add_edge(struct dr_edges *edges, uint64_t address) {
    size_t index = edges_to(edges, address);
    if (index && edges->at[index - 1].address == address)
        return;
    memmove(edges->at + index + 1, edges->at + index, (edges->count - index) * sizeof *edges->at);
    edges->at[index] = (struct dr_edge){address, depth_before(edges, index), always_before(edges, index)};
    edges->count++;
}

/* Takes an edge away that has become none. */
static void merge_edge(struct dr_edges *edges, uint64_t address) {
    size_t index = edges_to(edges, address) - 1;
    const struct dr_edge *edge = &edges->at[index];
    if (edge->depth != depth_before(edges, index) || edge->always != always_before(edges, index))
        return;
    edges->count--;
    memmove(edges->at + index, edges->at + index + 1, (edges->count - index) * sizeof *edges->at);
}

/* One range more or less. always: it has no condition. */
static const char *change(struct dr_edges *edges, uint64_t start, uint64_t end, int by, bool always) {
    if (!DR_RESERVE(*edges, 2))
        return "no memory for a hook";
    add_edge(edges, start);
    add_edge(edges, end);
    for (size_t i = edges_to(edges, start) - 1; edges->at[i].address < end; i++) {
        edges->at[i].depth += (uint32_t)by;
        edges->at[i].always += always ? (uint32_t)by : 0;
    }
    merge_edge(edges, end);
    merge_edge(edges, start);
    return NULL;
}

/* Whether ranges without a condition hold all of a range. */
static bool holds_all(const struct dr_edges *edges, uint64_t start, uint64_t end) {
    size_t index = edges_to(edges, start);
    bool held = always_before(edges, index);
    for (; held && index < edges->count && edges->at[index].address < end; index++)
        held = edges->at[index].always;
    return held;
}

void dr_hooks_free(struct dr_hooks *hooks) {
    for (unsigned kind = 0; kind < DR_HOOKS; kind++)
        free(hooks->edges[kind].at);
    for (size_t i = 0; i < hooks->conditionals.count; i++)
        free(hooks->conditionals.at[i].condition);
    free(hooks->conditionals.at);
}

/* -- hooks with conditions -------------------------------------------------------------------------------------------- */

static bool keep(struct dr_conditionals *all, int kind, uint64_t start, uint64_t end, const struct dr_condition *condition) {
    struct dr_condition *copy = DR_RESERVE(*all, 1) ? malloc(sizeof *copy) : NULL;
    if (!copy)
        return false;
    *copy = *condition;
    all->at[all->count++] = (struct dr_conditional){kind, start, end, copy};
    return true;
}

/* Behind the last one if there is none. */
static size_t find(const struct dr_conditionals *all, int kind, uint64_t start, uint64_t end,
                   const struct dr_condition *condition) {
    size_t i = 0;
    for (; i < all->count; i++) {
        const struct dr_conditional *each = &all->at[i];
        if (each->kind == kind && each->start == start && each->end == end && dr_condition_equals(each->condition, condition))
            break;
    }
    return i;
}

static void drop(struct dr_conditionals *all, size_t index) {
    free(all->at[index].condition);
    all->at[index] = all->at[--all->count];
}

/* Whether to stop for what is about to happen at [start, end). */
static bool is_wanted(struct dr_core *core, const struct dr_hit *hit, uint64_t start, uint64_t end) {
    const struct dr_hooks *hooks = &core->hooks;
    for (unsigned kind = 0; kind < DR_HOOKS; kind++)
        if (hit->kinds & BIT(kind) && overlaps_always(&hooks->edges[kind], start, end))
            return true;
    for (size_t i = 0; i < hooks->conditionals.count; i++) {
        const struct dr_conditional *each = &hooks->conditionals.at[i];
        if (hit->kinds & BIT(each->kind) && each->start < end && start < each->end &&
            dr_condition_holds(core, each->condition, each->start, each->end, hit))
            return true;
    }
    return false;
}

int dr_holds(struct dr_core *core, uint64_t start, uint64_t end, const struct dr_condition *condition) {
    return dr_condition_holds(core, condition, start, end, &core->hooks.hit);
}

/* -- adding and removing --------------------------------------------------------------------------------------------- */

/* Whether a hook of a kind that has this flag lies in a page. */
static bool is_flagged(const struct dr_hooks *hooks, uint64_t page, uint16_t flag) {
    for (unsigned kind = 0; kind < DR_HOOKS; kind++)
        if (page_flags[kind] == flag && overlaps(&hooks->edges[kind], page, page + DR_PAGE))
            return true;
    return false;
}

static const char *flag_pages(struct dr_core *core, uint16_t flag, uint64_t start, uint64_t end) {
    for (uint64_t page = start & ~(uint64_t)(DR_PAGE - 1); page < end; page += DR_PAGE)
        dr_memory_flag(&core->memory, page, flag, is_flagged(&core->hooks, page, flag));
    return flag != DR_HOOKED ? dr_memory_apply(&core->memory, start, end - start) : NULL;
}

/* All of it, or nothing. */
static const char *change_hook(struct dr_core *core, int kind, uint64_t start, uint64_t end, int by, bool always) {
    struct dr_edges *edges = &core->hooks.edges[kind];
    dr_lock_tables(core); /* other threads ask what is hooked, and read guest memory */
    const char *error = change(edges, start, end, by, always);
    const char *failure = error ? NULL : flag_pages(core, page_flags[kind], start, end);
    if (!error)
        dr_decoded_doubt(&core->decoded);
    if (failure && !change(edges, start, end, -by, always))
        (void)flag_pages(core, page_flags[kind], start, end);
    dr_unlock_tables(core);
    dr_new_epoch(core);
    return error ? error : failure;
}

/* Units that were made without a hook, or for one that is gone. */
static bool discard(struct dr_core *core, int kind, uint64_t start, uint64_t end, int reason) {
    return page_flags[kind] != DR_HOOKED || dr_discard(core, start, end - start, (enum dr_death)reason);
}

static bool is_range(uint64_t start, uint64_t end) {
    return start < end && end <= DR_WINDOW;
}

static const char *problem(int kind, uint64_t start, uint64_t end, const struct dr_condition *condition) {
    if (!is_range(start, end))
        return "a hook lies outside of guest memory";
    if (condition && kind == DR_HOOK_STORED)
        return "what the machine watches has no condition";
    return condition ? dr_condition_problem(condition, page_flags[kind] != DR_HOOKED) : NULL;
}

static const char *add(struct dr_core *core, int kind, uint64_t start, uint64_t end, const struct dr_condition *condition) {
    struct dr_conditionals *all = &core->hooks.conditionals;
    if (condition && !keep(all, kind, start, end, condition))
        return "no memory for a hook";
    const char *error = change_hook(core, kind, start, end, 1, !condition);
    if (error && condition)
        drop(all, all->count - 1);
    return error;
}

static const char *take_away(struct dr_core *core, int kind, uint64_t start, uint64_t end,
                             const struct dr_condition *condition) {
    struct dr_conditionals *all = &core->hooks.conditionals;
    size_t index = condition ? find(all, kind, start, end, condition) : 0;
    if (!is_range(start, end) || (condition ? index == all->count : !holds_all(&core->hooks.edges[kind], start, end)))
        return "there is no such hook";
    const char *error = change_hook(core, kind, start, end, -1, !condition);
    if (!error && condition)
        drop(all, index);
    return error;
}

int dr_hook(struct dr_core *core, int kind, uint64_t start, uint64_t end, int reason, const struct dr_condition *condition) {
    dr_failure = problem(kind, start, end, condition);
    if (!dr_failure)
        dr_failure = add(core, kind, start, end, condition);
    core->hooks.begins |= kind == DR_HOOK_BLOCK;
    return !dr_failure && discard(core, kind, start, end, reason) ? 0 : -1;
}

int dr_unhook(struct dr_core *core, int kind, uint64_t start, uint64_t end, int reason, const struct dr_condition *condition) {
    dr_failure = take_away(core, kind, start, end, condition);
    return !dr_failure && discard(core, kind, start, end, reason) ? 0 : -1;
}

/* Runs often end at the same address: units that were made for it stay. */
int dr_set_until(struct dr_core *core, int64_t key) {
    int64_t old = core->until;
    dr_failure = NULL;
    if (key == old)
        return 0;
    core->until = -1;
    if (old >= 0)
        dr_failure = change_hook(core, DR_HOOK_CODE, (uint64_t)old, (uint64_t)old + 1, -1, true);
    if (dr_failure || (key >= 0 && dr_hook(core, DR_HOOK_CODE, (uint64_t)key, (uint64_t)key + 1, DR_DEATH_BREAKPOINT, NULL)))
        return -1;
    core->until = key;
    return 0;
}

/* -- code ------------------------------------------------------------------------------------------------------------ */

uint32_t dr_hooks_in_page(const struct dr_core *core, uint32_t pc, bool begins) {
    const struct dr_edges *edges = core->hooks.edges;
    uint32_t found = overlaps(&edges[DR_HOOK_CODE], pc, (uint64_t)pc + 1) ? BIT(DR_HOOK_CODE) : 0;
    if (begins && overlaps(&edges[DR_HOOK_BLOCK], pc, (uint64_t)pc + 1))
        found |= BIT(DR_HOOK_BLOCK);
    return found;
}

int dr_is_hooked(struct dr_core *core, uint32_t pc, int begins) {
    if (!(dr_memory_page(&core->memory, pc) & DR_HOOKED))
        return 0;
    dr_lock_tables(core);
    uint32_t kinds = dr_hooks_at(core, pc, begins);
    dr_unlock_tables(core);
    return kinds != 0;
}

bool dr_hooks_stop(struct dr_core *core) {
    struct dr_hooks *hooks = &core->hooks;
    uint32_t pc = core->cpu.pc, kinds = dr_hooks_at(core, pc, hooks->begins);
    if (!kinds || hooks->passed == pc)
        return false;
    const struct dr_hit hit = {.kinds = kinds, .pc = pc};
    hooks->passed = pc;
    hooks->resumes = false;
    if (!is_wanted(core, &hit, pc, (uint64_t)pc + 1))
        return false;
    hooks->hit = hit;
    return true;
}

void dr_hooks_enter(struct dr_core *core) {
    core->hooks.begins |= core->hooks.left != core->cpu.pc;
}

void dr_hooks_leave(struct dr_core *core) {
    core->hooks.left = core->cpu.pc;
}

/* -- memory ---------------------------------------------------------------------------------------------------------- */

/* Executed again, the instruction makes the access that was reported, after others that come before it. */
static bool is_reported(struct dr_core *core, enum dr_hook kind, uint32_t address, uint32_t size) {
    const struct dr_hit *hit = &core->hooks.hit;
    if (!dr_hooks_resume(&core->hooks, core->cpu.pc))
        return false;
    if (hit->kinds == BIT(kind) && hit->address == address && hit->size == size)
        core->hooks.resumes = false;
    return true;
}

static bool is_hooked(const struct dr_core *core, enum dr_hook kind, uint32_t address, uint32_t size) {
    return overlaps(&core->hooks.edges[kind], address, (uint64_t)address + size);
}

bool dr_hooks_hold(struct dr_core *core, enum dr_hook kind, uint32_t address, uint32_t size, uint32_t value) {
    struct dr_hooks *hooks = &core->hooks;
    if (!is_hooked(core, kind, address, size) || is_reported(core, kind, address, size))
        return false;
    const struct dr_hit hit = {BIT(kind), core->cpu.pc, address, size, value};
    if (!is_wanted(core, &hit, address, (uint64_t)address + size))
        return false;
    hooks->hit = hit;
    return hooks->holds = true;
}

bool dr_hooks_stored(const struct dr_core *core, uint32_t address, uint32_t size) {
    return is_hooked(core, DR_HOOK_STORED, address, size);
}

void dr_hooks_held(struct dr_core *core) {
    core->hooks.holds = false;
    core->hooks.passed = core->cpu.pc;
    core->hooks.resumes = true;
}

void dr_hit_info(const struct dr_core *core, struct dr_hit *hit) {
    *hit = core->hooks.hit;
}
