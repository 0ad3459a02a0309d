#include "hooks.h"

#include <stdlib.h>
#include <string.h>

#include "core.h"

#define BIT(kind) (UINT32_C(1) << (kind))

static const uint16_t page_flags[DR_HOOKS] = {
    [DR_HOOK_CODE] = DR_HOOKED,       [DR_HOOK_BLOCK] = DR_HOOKED,       [DR_HOOK_READ] = DR_WATCH_READ,
    [DR_HOOK_WRITE] = DR_WATCH_WRITE, [DR_HOOK_STORED] = DR_WATCH_WRITE,
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

/* Behind addresses that are in no range, an edge begins one. */
static bool overlaps(const struct dr_edges *edges, uint64_t start, uint64_t end) {
    size_t index = edges_to(edges, start);
    return depth_before(edges, index) || (index < edges->count && edges->at[index].address < end);
}

static void add_edge(struct dr_edges *edges, uint64_t address) {
    size_t index = edges_to(edges, address);
    if (index && edges->at[index - 1].address == address)
        return;
    memmove(edges->at + index + 1, edges->at + index, (edges->count - index) * sizeof *edges->at);
    edges->at[index] = (struct dr_edge){address, depth_before(edges, index)};
    edges->count++;
}

/* Takes an edge away that has become none. */
static void merge_edge(struct dr_edges *edges, uint64_t address) {
    size_t index = edges_to(edges, address) - 1;
    if (edges->at[index].depth != depth_before(edges, index))
        return;
    edges->count--;
    memmove(edges->at + index, edges->at + index + 1, (edges->count - index) * sizeof *edges->at);
}

/* One range more or less. */
static const char *change(struct dr_edges *edges, uint64_t start, uint64_t end, int by) {
    if (!DR_RESERVE(*edges, 2))
        return "no memory for a hook";
    add_edge(edges, start);
    add_edge(edges, end);
    for (size_t i = edges_to(edges, start) - 1; edges->at[i].address < end; i++)
        edges->at[i].depth += (uint32_t)by;
    merge_edge(edges, end);
    merge_edge(edges, start);
    return NULL;
}

/* Whether ranges of this kind hold all of a range. */
static bool holds_all(const struct dr_edges *edges, uint64_t start, uint64_t end) {
    size_t index = edges_to(edges, start);
    bool held = depth_before(edges, index);
    for (; held && index < edges->count && edges->at[index].address < end; index++)
        held = edges->at[index].depth;
    return held;
}

void dr_hooks_free(struct dr_hooks *hooks) {
    for (unsigned kind = 0; kind < DR_HOOKS; kind++)
        free(hooks->edges[kind].at);
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
    const char *error = NULL;
    dr_lock_tables(core); /* other threads read guest memory */
    for (uint64_t page = start & ~(uint64_t)(DR_PAGE - 1); page < end; page += DR_PAGE)
        dr_memory_flag(&core->memory, page, flag, is_flagged(&core->hooks, page, flag));
    if (flag != DR_HOOKED)
        error = dr_memory_apply(&core->memory, start, end - start);
    dr_unlock_tables(core);
    return error;
}

/* All of it, or nothing. */
static const char *change_hook(struct dr_core *core, int kind, uint64_t start, uint64_t end, int by) {
    const char *error = change(&core->hooks.edges[kind], start, end, by);
    if (error)
        return error;
    error = flag_pages(core, page_flags[kind], start, end);
    if (error && !change(&core->hooks.edges[kind], start, end, -by))
        (void)flag_pages(core, page_flags[kind], start, end);
    return error;
}

/* Units that were made without a hook, or for one that is gone. */
static bool discard(struct dr_core *core, int kind, uint64_t start, uint64_t end, int reason) {
    return page_flags[kind] != DR_HOOKED || dr_discard(core, start, end - start, (enum dr_death)reason);
}

static bool is_range(uint64_t start, uint64_t end) {
    return start < end && end <= DR_WINDOW;
}

int dr_hook(struct dr_core *core, int kind, uint64_t start, uint64_t end, int reason) {
    dr_failure = is_range(start, end) ? change_hook(core, kind, start, end, 1) : "a hook lies outside of guest memory";
    core->hooks.begins |= kind == DR_HOOK_BLOCK;
    return !dr_failure && discard(core, kind, start, end, reason) ? 0 : -1;
}

int dr_unhook(struct dr_core *core, int kind, uint64_t start, uint64_t end, int reason) {
    bool known = is_range(start, end) && holds_all(&core->hooks.edges[kind], start, end);
    dr_failure = known ? change_hook(core, kind, start, end, -1) : "there is no such hook";
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
        dr_failure = change_hook(core, DR_HOOK_CODE, (uint64_t)old, (uint64_t)old + 1, -1);
    if (dr_failure || (key >= 0 && dr_hook(core, DR_HOOK_CODE, (uint64_t)key, (uint64_t)key + 1, DR_DEATH_BREAKPOINT)))
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

int dr_is_hooked(const struct dr_core *core, uint32_t pc, int begins) {
    return dr_hooks_at(core, pc, begins) != 0;
}

bool dr_hooks_stop(struct dr_core *core) {
    struct dr_hooks *hooks = &core->hooks;
    uint32_t pc = core->cpu.pc, kinds = dr_hooks_at(core, pc, hooks->begins);
    if (!kinds || hooks->passed == pc)
        return false;
    hooks->hit = (struct dr_hit){.kinds = kinds, .pc = pc};
    hooks->passed = pc;
    hooks->resumes = false;
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
    hooks->hit = (struct dr_hit){BIT(kind), core->cpu.pc, address, size, value};
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
