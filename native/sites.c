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

static bool is_slow(const struct dr_slow_site *site) {
    return site->calm < site->patience;
}

static bool change(struct dr_core *core, uint32_t pc) {
    core->site_changes++;
    return dr_discard(core, pc, 1, DR_DEATH_DEVICE);
}

static struct dr_slow_site *add(struct dr_core *core, uint32_t pc) {
    if (!DR_RESERVE(core->sites, 1))
        return NULL;
    struct dr_slow_site *site = &core->sites.at[core->sites.count++];
    *site = (struct dr_slow_site){.pc = pc, .patience = PATIENCE / 2};
    return site;
}

bool dr_site_faulted(struct dr_core *core, uint32_t pc) {
    uint8_t *faults = &core->site_faults[pc >> core->config.jump_shift & (DR_SITE_COUNTS - 1)];
    if (++*faults < FAULTS)
        return true;
    *faults = 0;
    struct dr_slow_site *site = find(core, pc);
    if (!site && !(site = add(core, pc)))
        return true; /* it goes on faulting */
    site->calm = 0;
    site->patience = site->patience < MOST_PATIENCE ? site->patience * 2 : MOST_PATIENCE;
    DR_COUNT(core->stats.device_sites, 1);
    return change(core, pc);
}

bool dr_site_calm(struct dr_core *core, uint32_t pc) {
    struct dr_slow_site *site = core->sites.count ? find(core, pc) : NULL;
    if (!site || !is_slow(site) || ++site->calm < site->patience)
        return true;
    return change(core, pc);
}

uint64_t dr_slow_sites(struct dr_core *core, uint32_t *pcs, uint32_t *count) {
    uint32_t room = *count;
    *count = 0;
    for (size_t i = 0; i < core->sites.count; i++)
        if (is_slow(&core->sites.at[i]) && (*count)++ < room)
            pcs[*count - 1] = core->sites.at[i].pc;
    return core->site_changes;
}
