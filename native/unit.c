#include "core.h"

/* Whether the offsets that a unit brings along lie in its code, and its guest bytes where there are any. */
static const char *check_exits(const struct dr_core *core, const struct dr_unit *unit) {
    for (uint32_t i = 0; i < unit->exit_count; i++) {
        const struct dr_exit *exit = &unit->exits[i];
        if (exit->ret > unit->code_size || exit->ret < dr_exit_call(core->config.harden).size || exit->kind > DR_EXIT_BUDGET)
            return "a unit has an exit outside its code";
        if (exit->link && exit->link + DR_BRANCH_SIZE + dr_exit_call(core->config.harden).size != exit->ret)
            return "a unit has a link that is not in front of its exit call";
    }
    return NULL;
}

static const char *check_sites(const struct dr_unit *unit) {
    for (uint32_t i = 0; i < unit->site_count; i++)
        if (unit->sites[i].offset >= unit->code_size || (i && unit->sites[i].offset < unit->sites[i - 1].offset))
            return "a unit has an access outside its code, or out of order";
    return NULL;
}

static const char *check_ranges(const struct dr_unit *unit) {
    uint64_t size = 0;
    for (uint32_t i = 0; i < unit->range_count; i++) {
        if (unit->ranges[i].size > DR_WINDOW - unit->ranges[i].address)
            return "a unit was made from bytes outside of guest memory";
        size += unit->ranges[i].size;
    }
    return size == unit->source_size ? NULL : "a unit's guest bytes are not those of its ranges";
}

static bool is_mixed(const struct dr_core *core, const struct dr_unit *unit) {
    for (uint32_t i = 0; i < unit->range_count; i++)
        if (dr_memory_is_mixed(&core->memory, unit->ranges[i].address, unit->ranges[i].size))
            return true;
    return false;
}

static const char *check_counts(const struct dr_unit *unit) {
    for (uint32_t i = 0; i < unit->count_count; i++)
        if (unit->counts[i] > unit->code_size || unit->code_size - unit->counts[i] < DR_COUNT_SIZE)
            return "a unit has a count outside its code";
    return NULL;
}

static bool is_place(const struct dr_recovery *recovery) {
    switch (recovery->source) {
    case DR_FROM_NOTHING:
        return !recovery->number;
    case DR_FROM_REGISTER:
        return recovery->number < DR_HOST_REGISTERS;
    case DR_FROM_WORD:
        return recovery->number < DR_WORDS;
    default:
        return false;
    }
}

static const char *check_recoveries(const struct dr_unit *unit) {
    for (uint32_t i = 0; i < unit->recovery_count; i++) {
        const struct dr_recovery *recovery = &unit->recoveries[i];
        if (recovery->first > recovery->last || recovery->last >= unit->site_count)
            return "a unit defers a write to a site that it does not have";
        if (recovery->word >= DR_STATE_WORDS || !is_place(recovery))
            return "a unit defers a write to no word of the state, or from no place";
    }
    return NULL;
}

const char *dr_unit_problem(const struct dr_core *core, const struct dr_unit *unit) {
    const char *error = check_exits(core, unit);
    if (!error)
        error = check_counts(unit);
    if (!error)
        error = check_recoveries(unit);
    if (!error)
        error = check_sites(unit);
    if (!error)
        error = check_ranges(unit);
    if (!error && !unit->checked && !unit->kept && is_mixed(core, unit))
        error = "a unit of memory that is code and data alike does not compare its bytes";
    for (uint32_t i = 0; i < unit->loan_count && !error; i++)
        if (unit->loans[i].home >= DR_HOST_HOMES || unit->loans[i].word >= DR_STATE_WORDS)
            error = "a unit lends a home that is none, or to no word of the state";
    return error;
}

/* Whether guest memory is what was translated: another thread may have written meanwhile. */
bool dr_unit_is_current(struct dr_core *core, const struct dr_unit *unit) {
    const uint8_t *source = unit->source;
    for (uint32_t i = 0; i < unit->range_count; source += unit->ranges[i++].size)
        if (dr_memory_check(&core->memory, unit->ranges[i].address, unit->ranges[i].size, DR_EXECUTE) >= 0 ||
            !dr_memory_equals(&core->memory, unit->ranges[i].address, source, unit->ranges[i].size))
            return false;
    return true;
}

static bool is_hooked(const struct dr_core *core, const struct dr_range *range) {
    uint64_t end = (uint64_t)range->address + range->size;
    for (uint64_t at = range->address; at < end; at = (at | (DR_PAGE - 1)) + 1)
        if (dr_memory_page(&core->memory, at) & DR_HOOKED)
            return true;
    return false;
}

/* Units are kept that were made with no hooks near: where there are some now, they are made anew. */
bool dr_unit_suits(struct dr_core *core, const struct dr_unit *unit) {
    for (uint32_t i = 0; i < unit->range_count; i++)
        if (is_hooked(core, &unit->ranges[i]))
            return false;
    return unit->range_count && (unit->checked || !is_mixed(core, unit)) && dr_unit_is_current(core, unit);
}
