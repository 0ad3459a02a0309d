#include "api.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "host.h"

/* enter.S has these by hand. */
#define AT(field) ((int)offsetof(struct dr_cpu, field) - (int)offsetof(struct dr_cpu, state))
_Static_assert(AT(homes) == -128 && AT(window) == -32 && AT(exit_pc) == -24 && AT(exit) == -16, "enter.S");
_Static_assert(AT(pc) == -8 && AT(budget) == -4 && AT(jumps) == 256, "enter.S");

#define MAX_CORES 64
static atomic_int core_count;
static _Thread_local const char *create_error;

int dr_abi_version(void) {
    return DR_ABI_VERSION;
}

int dr_layout(const char *name) {
    static const struct {
        const char *name;
        int offset;
    } fields[] = {
        {"pc", AT(pc)},       {"budget", AT(budget)}, {"exit", AT(exit)},   {"state", AT(state)},
        {"spill", 4 * DR_SPILL_WORD}, {"sink", 4 * DR_SINK_WORD},     {"jumps", AT(jumps)}, {"exit_pc", AT(exit_pc)},
        {"homes", AT(homes)}, {"window", AT(window)},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].offset;
    return INT_MIN;
}

const char *dr_host(void) {
    return DR_HOST_NAME;
}

int dr_has_interpreter(const char *guest) {
    return dr_interpreter(guest) != NULL;
}

const char *dr_policy_name(unsigned index) {
    for (unsigned i = 0; dr_policies[i]; i++)
        if (i == index)
            return dr_policies[i]->name;
    return NULL;
}

const char *dr_policy_probe(const char *name) {
    struct dr_codemem memory;
    const char *error = dr_codemem_map(&memory, name, 1 << 16);
    if (!error)
        dr_codemem_unmap(&memory);
    return error;
}

static const char *set_up(struct dr_core *core) {
    const char *error = dr_memory_create(&core->memory);
    if (!error && core->config.tier != DR_TIER_INTERP)
        error = dr_codemem_map(&core->code, core->config.policy, core->config.cache_size);
    if (!error)
        error = dr_faults_install();
    return error;
}

struct dr_core *dr_create(const struct dr_config *config) {
    struct dr_core *core = calloc(1, sizeof *core);
    if (!core || atomic_fetch_add(&core_count, 1) >= MAX_CORES) {
        create_error = core ? "too many machines at a time in this process" : "no memory for a machine";
        atomic_fetch_sub(&core_count, core ? 1 : 0);
        free(core);
        return NULL;
    }
    core->config = *config;
    core->step = config->guest ? dr_interpreter(config->guest) : NULL;
    create_error = core->step ? set_up(core) : "the guest has no generated interpreter";
    if (create_error) {
        dr_destroy(core);
        return NULL;
    }
    memcpy(core->cpu.homes, config->homes, DR_MAX_HOMES);
    core->config.guest = core->config.policy = NULL;
    core->config.homes = NULL;
    core->cpu.window = core->memory.base;
    core->cpu.exit = dr_exit;
    core->until = -1;
    dr_flush_all(core);
    core->stats.flushes = 0;
    dr_faults_watch(core);
    return core;
}

void dr_destroy(struct dr_core *core) {
    dr_faults_unwatch(core);
    dr_blocks_free(&core->blocks);
    dr_codemem_unmap(&core->code);
    dr_memory_destroy(&core->memory);
    free(core);
    atomic_fetch_sub(&core_count, 1);
}

const char *dr_error(const struct dr_core *core) {
    return core ? core->error : create_error;
}

const char *dr_policy(const struct dr_core *core) {
    return core->code.policy ? core->code.policy->name : "none";
}

struct dr_cpu *dr_cpu(struct dr_core *core) {
    return &core->cpu;
}

/* -- guest memory --------------------------------------------------------------------------------------------------- */

static int outcome(struct dr_core *core, const char *error) {
    core->error = error;
    return error ? -1 : 0;
}

int dr_map(struct dr_core *core, uint32_t address, uint64_t size, int access) {
    atomic_store(&core->sync, true);
    return outcome(core, dr_memory_map(&core->memory, address, size, access));
}

int dr_unmap(struct dr_core *core, uint32_t address, uint64_t size) {
    return dr_map(core, address, size, 0);
}

int dr_protect(struct dr_core *core, uint32_t address, uint64_t size, int access) {
    atomic_store(&core->sync, true);
    return outcome(core, dr_memory_protect(&core->memory, address, size, access));
}

int dr_watch(struct dr_core *core, uint32_t address, uint64_t size) {
    if (core->watch_count == DR_MAX_WATCHES)
        return outcome(core, "too many watched ranges");
    core->watches[core->watch_count++] = (struct dr_range){address, (uint32_t)size};
    uint64_t first = address & ~(uint64_t)(DR_PAGE - 1);
    for (uint64_t page = first; page < address + size; page += DR_PAGE) {
        int access = core->memory.access[page >> DR_PAGE_BITS] | DR_WATCH;
        const char *error = dr_memory_protect(&core->memory, page, DR_PAGE, access);
        if (error)
            return outcome(core, error);
    }
    return 0;
}

int dr_page_access(struct dr_core *core, uint32_t address) {
    return core->memory.access[address >> DR_PAGE_BITS];
}

int64_t dr_check(struct dr_core *core, uint32_t address, uint64_t size, int access) {
    return dr_memory_check(&core->memory, address, size, access);
}

int dr_read(struct dr_core *core, uint32_t address, void *to, uint64_t size) {
    if (dr_memory_check(&core->memory, address, size, 0) >= 0)
        return outcome(core, "guest memory that is not mapped was read");
    memcpy(to, core->memory.base + address, size);
    return 0;
}

int dr_write(struct dr_core *core, uint32_t address, const void *from, uint64_t size) {
    if (dr_memory_check(&core->memory, address, size, 0) >= 0)
        return outcome(core, "guest memory that is not mapped was written");
    atomic_store(&core->sync, true);
    return outcome(core, dr_memory_write(&core->memory, address, from, size));
}

/* -- running -------------------------------------------------------------------------------------------------------- */

int dr_bind_thread(struct dr_core *core) {
    if (core->code.run)
        dr_codemem_own(&core->code);
    return outcome(core, dr_faults_thread());
}

int dr_install(struct dr_core *core, const struct dr_unit *unit) {
    return dr_install_unit(core, unit) ? 0 : -1;
}

int dr_flush(struct dr_core *core) {
    dr_flush_all(core);
    return 0;
}

int dr_set_until(struct dr_core *core, int64_t key) {
    uint32_t number = key < 0 ? DR_NONE : dr_blocks_find(&core->blocks, (uint64_t)key);
    core->until = key;
    return number == DR_NONE || dr_invalidate(core, number) ? 0 : -1;
}

int dr_set_homes(struct dr_core *core, const uint8_t *homes) {
    dr_flush_all(core);
    memcpy(core->cpu.homes, homes, DR_MAX_HOMES);
    return 0;
}

void dr_request_stop(struct dr_core *core) {
    atomic_store(&core->stop, true);
}

void dr_clear_stop(struct dr_core *core) {
    atomic_store(&core->stop, false);
}

void dr_trap_info(const struct dr_core *core, struct dr_trap *trap) {
    *trap = core->trap;
}

uint64_t dr_instructions(const struct dr_core *core) {
    return core->stats.instructions;
}

void dr_get_stats(const struct dr_core *core, struct dr_stats *stats) {
    *stats = core->stats;
    stats->blocks = core->blocks.alive;
    stats->code_bytes = core->blocks.code_end;
    stats->toggles = core->code.toggles;
}

int64_t dr_find(struct dr_core *core, uint64_t key) {
    uint32_t number = dr_blocks_find(&core->blocks, key);
    return number == DR_NONE ? -1 : (int64_t)core->blocks.blocks.at[number].start;
}

int dr_read_code(struct dr_core *core, uint64_t offset, void *to, uint64_t size) {
    if (offset > core->code.size || size > core->code.size - offset)
        return outcome(core, "a read of the code region lies outside it");
    memcpy(to, core->code.run + offset, size);
    return 0;
}
