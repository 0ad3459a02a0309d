#include "api.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "verify.h"
#include "host.h"

/* enter.S has these by hand. */
#define AT(field) ((int)offsetof(struct dr_cpu, field) - (int)offsetof(struct dr_cpu, state))
_Static_assert(AT(homes) == -128 && AT(window) == -32 && AT(exit_pc) == -24 && AT(exit) == -16, "enter.S");
_Static_assert(AT(pc) == -8 && AT(budget) == -4 && AT(jumps) == 256, "enter.S");

#define MAX_CORES 64
#define DR_USER_TICKS 1000000 /* a second, for programs that have no clock of their own */
static atomic_int core_count;
_Thread_local const char *dr_failure;

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
        {"homes", AT(homes)}, {"window", AT(window)},         {"counters", AT(counters)},
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

int dr_policy_choice(unsigned index) {
    return dr_policies[index]->choice;
}

const char *dr_policy_probe(const char *name) {
    return dr_codemem_probe(name);
}

int64_t dr_policy_cost(const char *name, uint32_t batches) {
    return dr_codemem_cost(name, batches);
}

int64_t dr_verify(const char *host, const uint8_t *code, uint32_t size, const uint32_t *links, uint32_t link_count,
                  uint32_t harden, const char **reason) {
    struct dr_candidate candidate = {code, size, links, link_count, harden};
    struct dr_refusal refusal = {0, ""};
    struct dr_head head;
    dr_verifier *verifier = strcmp(host, "arm64") == 0 ? dr_verify_arm64 : dr_verify_x86_64;
    bool accepted = verifier(&candidate, &head, &refusal);
    *reason = refusal.reason;
    return accepted ? -1 : (int64_t)refusal.offset;
}

static const char *set_up(struct dr_core *core) {
    struct dr_rules rules = {(uint8_t)core->config.harden};
    const char *error = dr_memory_create(&core->memory, core->config.host_page);
    if (!error && core->config.tier != DR_TIER_INTERP)
        error = dr_codemem_open(&core->code, core->config.policy, core->config.cache_size, rules);
    if (!error && core->config.tier != DR_TIER_INTERP)
        error = dr_blocks_create(&core->blocks, core->code.size, core->cpu.counters);
    core->memory.all_mixed = core->config.by_byte;
    if (!error)
        error = dr_faults_install();
    return error;
}

struct dr_core *dr_create(const struct dr_config *config) {
    dr_region_watch_forks();
    struct dr_core *core = calloc(1, sizeof *core);
    if (!core || atomic_fetch_add(&core_count, 1) >= MAX_CORES) {
        dr_failure = core ? "too many machines at a time in this process" : "no memory for a machine";
        atomic_fetch_sub(&core_count, core ? 1 : 0);
        free(core);
        return NULL;
    }
    core->config = *config;
    dr_make_lock(core);
    dr_make_wakeup(core);
    core->guest = config->evaluated ? &dr_evaluated : config->guest ? dr_interpreter(config->guest) : NULL;
    core->deadline = UINT64_MAX;
    core->clock.ticks_per_second = DR_USER_TICKS;
    dr_failure = core->guest ? set_up(core) : "the guest has no generated interpreter";
    if (dr_failure) {
        dr_destroy(core);
        return NULL;
    }
    memcpy(core->cpu.homes, config->homes, DR_MAX_HOMES);
    core->config.guest = core->config.policy = NULL;
    core->config.homes = NULL;
    core->cpu.window = core->memory.base;
    core->cpu.exit = dr_exit_for(&core->cpu, core->config.harden);
    core->until = core->waits = core->hooks.passed = core->hooks.left = -1;
    dr_flush_all(core);
    core->stats.flushes = 0;
    return core;
}

void dr_destroy(struct dr_core *core) {
    dr_recorder_free(core);
    dr_blocks_free(&core->blocks);
    dr_codemem_close(&core->code);
    free(core->batch.at);
    free(core->dead.at);
    free(core->links.at);
    free(core->counting.at);
    free(core->sites.at);
    free(core->devices.at);
    dr_hooks_free(&core->hooks);
    dr_decoded_free(&core->decoded);
    dr_memory_destroy(&core->memory);
    free(core);
    atomic_fetch_sub(&core_count, 1);
}

const char *dr_error(void) {
    return dr_failure;
}

const char *dr_policy(const struct dr_core *core) {
    return dr_codemem_policy(&core->code);
}

struct dr_cpu *dr_cpu(struct dr_core *core) {
    return &core->cpu;
}

/* -- guest memory --------------------------------------------------------------------------------------------------- */

static int outcome(const char *error) {
    dr_failure = error;
    return error ? -1 : 0;
}

/* Other threads read guest memory while its pages come and go: the lock of the tables is for that too. */
int dr_map(struct dr_core *core, uint32_t address, uint64_t size, int access) {
    atomic_store(&core->sync, true);
    dr_lock_tables(core);
    const char *error = dr_memory_map(&core->memory, address, size, access);
    dr_unlock_tables(core);
    return outcome(error);
}

int dr_unmap(struct dr_core *core, uint32_t address, uint64_t size) {
    return dr_map(core, address, size, 0);
}

int dr_protect(struct dr_core *core, uint32_t address, uint64_t size, int access) {
    atomic_store(&core->sync, true);
    dr_lock_tables(core);
    const char *error = dr_memory_protect(&core->memory, address, size, access);
    dr_unlock_tables(core);
    return outcome(error);
}

int dr_page_access(struct dr_core *core, uint32_t address) {
    return dr_memory_page(&core->memory, address);
}

int64_t dr_check(struct dr_core *core, uint32_t address, uint64_t size, int access) {
    return dr_memory_check(&core->memory, address, size, access);
}

/* Whether pages have to be opened for a read, which would let the guest's accesses through meanwhile. */
static bool is_closed(const struct dr_core *core, uint64_t address, uint64_t size) {
    for (uint64_t at = address; core->config.tier != DR_TIER_INTERP && at < address + size; at = (at | (DR_PAGE - 1)) + 1)
        if (dr_memory_page(&core->memory, at) & DR_SLOW_READ || !(dr_memory_page(&core->memory, at) & DR_READ))
            return true;
    return false;
}

static int read_now(struct dr_core *core, struct dr_ask *ask) {
    dr_lock_tables(core);
    bool mapped = dr_memory_check(&core->memory, ask->address, ask->size, 0) < 0;
    bool later = mapped && is_closed(core, ask->address, ask->size) && dr_runs_elsewhere(core);
    if (!later)
        ask->error = mapped ? dr_memory_read(&core->memory, ask->address, ask->to, ask->size) : "it is not mapped";
    dr_unlock_tables(core);
    return !later;
}

int dr_read(struct dr_core *core, uint32_t address, void *to, uint64_t size) {
    struct dr_ask ask = {.address = address, .size = size, .to = to};
    while (!read_now(core, &ask)) {
        enum dr_asked asked = dr_ask(core, &ask);
        if (asked == DR_ANSWERED)
            break;
        if (asked == DR_UNANSWERED)
            return outcome("guest memory cannot be read while a callback of the machine does not come back");
    }
    return outcome(ask.error);
}

static bool holds(const struct dr_core *core, uint64_t address, uint64_t size, uint16_t flag) {
    for (uint64_t at = address; at < address + size; at = (at | (DR_PAGE - 1)) + 1)
        if (dr_memory_page(&core->memory, at) & flag)
            return true;
    return false;
}

/* With the tables locked, no run begins. Whether the CPU thread has to look at what was written. */
static bool forget_decoded(struct dr_core *core, uint64_t address, uint64_t size) {
    if (!holds(core, address, size, DR_DECODED))
        return false;
    if (dr_runs_elsewhere(core))
        return true;
    dr_decoded_forget(core, address, size);
    return false;
}

/* Devices and the like write on the CPU thread: what they change is seen by the next instruction. Others are seen when the run
 * loop goes round. */
static int notice_write(struct dr_core *core, uint64_t address, uint64_t size) {
    if (!size || !holds(core, address, size, DR_CODE))
        return 0;
    if (core->code.owned && pthread_equal(core->code.owner, pthread_self()))
        return dr_code_written(core, address, size, DR_DEATH_HOST_WRITE) ? 0 : -1;
    atomic_store(&core->sync, true);
    return 0;
}

int dr_write(struct dr_core *core, uint32_t address, const void *from, uint64_t size) {
    if (dr_memory_check(&core->memory, address, size, 0) >= 0)
        return outcome("guest memory that is not mapped was written");
    dr_lock_tables(core);
    const char *error = dr_memory_write(&core->memory, address, from, size);
    bool late = forget_decoded(core, address, size);
    dr_unlock_tables(core);
    if (late) {
        atomic_store(&core->sync, true);
        dr_attract(core);
    }
    return error ? outcome(error) : notice_write(core, address, size);
}

/* -- running -------------------------------------------------------------------------------------------------------- */

int dr_bind_thread(struct dr_core *core) {
    if (core->code.run)
        dr_codemem_own(&core->code);
    dr_make_wakeup(core); /* anew in the child of a fork, where another thread may have held the locks */
    return outcome(dr_faults_thread());
}

int dr_install(struct dr_core *core, const struct dr_unit *const *units, uint32_t count, uint64_t *serials) {
    return dr_install_units(core, units, count, serials) ? 0 : -1;
}

int dr_erase(struct dr_core *core, uint64_t key) {
    return dr_erase_unit(core, key) ? 0 : -1;
}

int dr_flush(struct dr_core *core) {
    dr_flush_all(core);
    return 0;
}

int dr_set_homes(struct dr_core *core, const uint8_t *homes) {
    dr_flush_all(core);
    memcpy(core->cpu.homes, homes, DR_MAX_HOMES);
    return 0;
}

void dr_request_stop(struct dr_core *core) {
    atomic_store(&core->stop, true);
    dr_attract(core);
}

void dr_clear_stop(struct dr_core *core) {
    atomic_store(&core->stop, false);
}

struct dr_clint *dr_get_clint(struct dr_core *core) {
    return &core->clint;
}

struct dr_plic *dr_get_plic(struct dr_core *core) {
    return &core->plic;
}

struct dr_uart *dr_get_uart(struct dr_core *core) {
    return &core->uart;
}

uint32_t dr_off_status(const struct dr_core *core) {
    return core->off_status;
}

void dr_trap_info(const struct dr_core *core, struct dr_trap *trap) {
    *trap = core->trap;
}

uint64_t dr_interpreted(const struct dr_core *core) {
    return __atomic_load_n(&core->stats.interpreted, __ATOMIC_RELAXED);
}

uint64_t dr_instructions(const struct dr_core *core) {
    return __atomic_load_n(&core->stats.instructions, __ATOMIC_RELAXED) - __atomic_load_n(&core->rewound, __ATOMIC_RELAXED);
}

static void add_generation(const struct dr_generation *generation, struct dr_stats *stats) {
    stats->code_bytes += generation->fill - generation->start;
    for (size_t i = 0; i < generation->units.count; i++)
        if (!generation->units.at[i]->alive)
            stats->code_dead += generation->units.at[i]->size;
}

void dr_get_stats(struct dr_core *core, struct dr_stats *stats) {
    const uint64_t *from = (const uint64_t *)&core->stats;
    uint64_t *to = (uint64_t *)stats;
    for (size_t i = 0; i < sizeof *stats / sizeof *to; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    stats->toggles = __atomic_load_n(&core->code.toggles, __ATOMIC_RELAXED);
    dr_lock_tables(core);
    stats->blocks = core->blocks.alive;
    stats->code_bytes = stats->code_dead = 0;
    for (uint32_t i = 0; i < core->blocks.generation_count; i++)
        add_generation(&core->blocks.generations[i], stats);
    dr_unlock_tables(core);
}

uint32_t dr_deaths(struct dr_core *core, uint64_t first, struct dr_death_record *records, uint32_t count) {
    dr_lock_tables(core);
    uint64_t last = core->stats.discarded, oldest = last > DR_DEATH_LOG ? last - DR_DEATH_LOG : 0;
    uint32_t copied = 0;
    for (uint64_t at = first > oldest ? first : oldest; at < last && copied < count; at++)
        records[copied++] = core->deaths[at % DR_DEATH_LOG];
    dr_unlock_tables(core);
    return copied;
}

int dr_is_mixed(const struct dr_core *core, uint32_t address, uint64_t size) {
    return dr_memory_is_mixed(&core->memory, address, size);
}

int64_t dr_find(struct dr_core *core, uint64_t key) {
    dr_lock_tables(core);
    const struct dr_block *block = dr_blocks_find(&core->blocks, key);
    int64_t start = block ? (int64_t)block->start : -1;
    dr_unlock_tables(core);
    return start;
}

int dr_read_code(struct dr_core *core, uint64_t offset, void *to, uint64_t size) {
    const char *error = NULL;
    dr_lock_tables(core);
    if (!core->code.region || dr_codemem_is_stale(&core->code))
        error = "there is no code region";
    else if (offset > core->code.size || size > core->code.size - offset)
        error = "a read of the code region lies outside it";
    else
        dr_codemem_read(&core->code, to, (uint32_t)offset, (uint32_t)size);
    dr_unlock_tables(core);
    return outcome(error);
}

uint64_t dr_run_address(const struct dr_core *core) {
    return core->code.region && !dr_codemem_is_stale(&core->code) ? (uint64_t)(uintptr_t)core->code.run : 0;
}
