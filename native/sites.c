/* Instructions that keep reaching devices. Each access to a device faults, which costs microseconds; after a few, the units with
 * the instruction die, and are translated again with an exit to the interpreter in its place. One that no longer reaches devices
 * gets its access back, and has to fault more often the next time.
 */
#include "core.h"

#define FAULTS 8
#define PATIENCE 64u
#define MOST_PATIENCE (UINT32_C(1) << 20)

static struct dr_slow_site *find(struct dr_core *core, uint32_t pc) {
    for (size_t i = 0; i < core->sites.count; i++)
        if (core->sites.at[i].pc == pc)
            return &core->sites.at[i];
    return NULL;
}

/* Of a site of the CPU thread, which alone changes it; others look at it. */
static bool is_slow(const struct dr_slow_site *site) {
    return __atomic_load_n(&site->calm, __ATOMIC_RELAXED) < __atomic_load_n(&site->patience, __ATOMIC_RELAXED);
}

static bool change(struct dr_core *core, uint32_t pc) {
    atomic_fetch_add(&core->site_changes, 1);
    dr_new_epoch(core);
    return dr_discard(core, pc, 1, DR_DEATH_DEVICE);
}

static struct dr_slow_site *add(struct dr_core *core, uint32_t pc) {
    struct dr_slow_site *site = NULL;
    dr_lock_tables(core);
    if (DR_RESERVE(core->sites, 1)) {
        site = &core->sites.at[core->sites.count++];
        *site = (struct dr_slow_site){.pc = pc, .patience = PATIENCE / 2};
    }
    dr_unlock_tables(core);
    return site;
}

static bool leave_alone(struct dr_core *core, uint32_t pc) {
    struct dr_slow_site *site = find(core, pc);
    if (!site && !(site = add(core, pc)))
        return true; /* it goes on faulting */
    __atomic_store_n(&site->calm, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&site->patience, site->patience < MOST_PATIENCE ? site->patience * 2 : MOST_PATIENCE, __ATOMIC_RELAXED);
    DR_COUNT(core->stats.device_sites, 1);
    return change(core, pc);
}

bool dr_site_faulted(struct dr_core *core, uint32_t pc) {
    uint8_t *faults = &core->site_faults[pc >> core->config.jump_shift & (DR_SITE_COUNTS - 1)];
    if (++*faults < FAULTS)
        return true;
    *faults = 0;
    return leave_alone(core, pc);
}

int dr_leave_alone(struct dr_core *core, uint32_t pc) {
    return leave_alone(core, pc) ? 0 : -1;
}

bool dr_site_calm(struct dr_core *core, uint32_t pc) {
    struct dr_slow_site *site = core->sites.count ? find(core, pc) : NULL;
    if (!site || !is_slow(site))
        return true;
    DR_COUNT(site->calm, 1);
    return is_slow(site) || change(core, pc);
}

uint64_t dr_slow_sites(struct dr_core *core, uint32_t *pcs, uint32_t *count) {
    uint32_t room = *count;
    *count = 0;
    dr_lock_tables(core);
    for (size_t i = 0; i < core->sites.count; i++)
        if (is_slow(&core->sites.at[i]) && (*count)++ < room)
            pcs[*count - 1] = core->sites.at[i].pc;
    uint64_t changes = atomic_load(&core->site_changes);
    dr_unlock_tables(core);
    return changes;
}
