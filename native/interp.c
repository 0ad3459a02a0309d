/* What the generated interpreters share: the slow paths of guest memory, and the counters. */
#include "interp.h"

#include "device.h"
#include "threaded.h"

/* Other threads read guest memory while its pages are opened and closed here. */
static bool read_memory(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value) {
    dr_lock_tables(core);
    bool good = !dr_memory_read(&core->memory, address, value, size);
    dr_unlock_tables(core);
    return good;
}

static bool write_memory(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    dr_lock_tables(core);
    bool good = !dr_memory_write(&core->memory, address, &value, size);
    dr_unlock_tables(core);
    return good;
}

static bool is_device(const struct dr_core *core, uint32_t address) {
    return core->memory.access[address >> DR_PAGE_BITS] & DR_DEVICE;
}

/* Whether accesses to the page, of memory, are never made by generated code. */
static bool is_slow(const struct dr_core *core, uint32_t address) {
    return core->memory.access[address >> DR_PAGE_BITS] & (DR_WATCH_READ | DR_WATCH_WRITE | DR_WATCH_STORED);
}

/* Whether bytes in the pages of an access are hooked. */
static bool is_watched(const struct dr_core *core, uint32_t address, uint32_t size, uint16_t flag) {
    return (core->memory.access[address >> DR_PAGE_BITS] | core->memory.access[(address + size - 1) >> DR_PAGE_BITS]) & flag;
}

static inline bool is_held(struct dr_core *core, enum dr_hook kind, uint32_t address, uint32_t size, uint32_t value) {
    uint16_t flag = kind == DR_HOOK_READ ? DR_WATCH_READ : DR_WATCH_WRITE;
    return is_watched(core, address, size, flag) && dr_hooks_hold(core, kind, address, size, value);
}

/* Atomic accesses are for memory: a device would see two. */
static bool load_device(struct dr_core *core, uint32_t address, uint32_t size, int access, uint32_t *value) {
    core->slow_access = true;
    if (access & DR_WRITE || is_held(core, DR_HOOK_READ, address, size, 0))
        return false;
    return dr_device_read(core, address, size, value);
}

/* A host page may be closed to what one of its guest pages allows. */
static bool load_memory(struct dr_core *core, uint32_t address, uint32_t size, int access, uint32_t *value) {
    core->slow_access = core->slow_access || is_slow(core, address);
    if (!dr_memory_allows(&core->memory, address, size, access) || is_held(core, DR_HOOK_READ, address, size, 0))
        return false;
    *value = 0;
    return read_memory(core, address, size, value);
}

bool dr_load_slow(struct dr_core *core, uint32_t address, uint32_t size, int access, uint32_t *value) {
    return (is_device(core, address) ? load_device : load_memory)(core, address, size, access, value);
}

/* Units that were made from the bytes of a store die. That it came here may be because of code in the same host page. */
static void notice_code(struct dr_core *core, uint32_t address, uint32_t size) {
    if (!dr_memory_is_fast(&core->memory, address, size, DR_SLOW_WRITE) && !dr_code_written(core, address, size, DR_DEATH_STORE))
        core->failed = true;
}

/* Behind a store to memory. */
static void notice_store(struct dr_core *core, uint32_t address, uint32_t size) {
    if (is_watched(core, address, size, DR_DECODED))
        dr_decoded_forget(core, address, size);
    notice_code(core, address, size);
    if (!is_watched(core, address, size, DR_WATCH_STORED) || !dr_hooks_stored(core, address, size))
        return;
    core->event = DR_STOP_STORED;
    core->trap = (struct dr_trap){0, address, core->cpu.pc, size};
}

static bool store_device(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    core->slow_access = true;
    return !is_held(core, DR_HOOK_WRITE, address, size, value) && dr_device_write(core, address, size, value);
}

static bool store_memory(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    core->slow_access = core->slow_access || is_slow(core, address);
    if (!dr_memory_allows(&core->memory, address, size, DR_WRITE) || is_held(core, DR_HOOK_WRITE, address, size, value))
        return false;
    if (!write_memory(core, address, size, value))
        return false;
    notice_store(core, address, size);
    return true;
}

bool dr_store_slow(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    return (is_device(core, address) ? store_device : store_memory)(core, address, size, value);
}

bool dr_fetch_slow(struct dr_core *core, uint32_t pc, uint32_t size, uint32_t *word) {
    if (!dr_memory_allows(&core->memory, pc, size, DR_EXECUTE))
        return false;
    *word = 0;
    if (!dr_memory_is_fast(&core->memory, pc, size, DR_SLOW_READ))
        return read_memory(core, pc, size, word);
    memcpy(word, core->memory.base + pc, size);
    return true;
}

/* -- threaded loops --------------------------------------------------------------------------------------------------- */

void dr_count_steps(struct dr_core *core, uint32_t count) {
    if (!count)
        return;
    DR_COUNT(core->stats.instructions, count);
    DR_COUNT(core->stats.interpreted, count);
    core->limit -= count;
    core->hooks.passed = -1;
    core->hooks.resumes = false;
}

enum dr_status dr_leave(struct dr_core *core, uint32_t pc, uint32_t next, uint32_t before, enum dr_status status) {
    dr_count_steps(core, before);
    core->at = pc;
    core->cpu.pc = next;
    return status;
}

void dr_pause(struct dr_core *core, uint32_t pc, uint32_t before) {
    dr_count_steps(core, before);
    core->at = core->cpu.pc = pc;
}

enum dr_status dr_fail(struct dr_core *core, uint32_t pc, uint32_t before, uint32_t cause, uint32_t value, uint32_t length) {
    dr_pause(core, pc, before);
    return dr_raise(core, cause, value, length);
}

bool dr_load_rare(struct dr_core *core, uint32_t pc, uint32_t before, uint32_t address, uint32_t size, int access,
                  uint32_t *value) {
    dr_pause(core, pc, before);
    return dr_load_slow(core, address, size, access, value);
}

bool dr_store_rare(struct dr_core *core, uint32_t pc, uint32_t before, uint32_t address, uint32_t size, uint32_t value) {
    dr_pause(core, pc, before);
    return dr_store_slow(core, address, size, value);
}

bool dr_store_to_decoded(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    if (!dr_is_plain(core->memory.access, address, size, DR_WRITE, DR_SLOW_WRITE))
        return false;
    memcpy(core->memory.base + address, &value, size);
    dr_decoded_forget(core, address, size);
    return true;
}

/* -- counters --------------------------------------------------------------------------------------------------------- */

uint64_t dr_counter_instret(const struct dr_core *core) {
    return dr_instructions(core);
}

uint64_t dr_counter_cycle(const struct dr_core *core) {
    return dr_instructions(core);
}

uint64_t dr_counter_time(const struct dr_core *core) {
    return dr_time(core);
}

uint64_t dr_counter_lines(const struct dr_core *core) {
    return atomic_load_explicit(&core->lines, memory_order_relaxed);
}
