/* What the generated interpreters share: the slow paths of guest memory, and the counters. */
#include "interp.h"

#include <time.h>

#include "device.h"

static bool is_device(const struct dr_core *core, uint32_t address) {
    return core->memory.access[address >> DR_PAGE_BITS] & DR_DEVICE;
}

bool dr_load_slow(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value) {
    return is_device(core, address) && dr_device_read(core, address, size, value);
}

static bool overlaps(const struct dr_range *range, uint32_t address, uint32_t size) {
    return address < range->address + range->size && range->address < address + size;
}

bool dr_store_slow(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    if (is_device(core, address))
        return dr_device_write(core, address, size, value);
    if (!dr_memory_allows(&core->memory, address, size, DR_WRITE))
        return false;
    if (dr_memory_write(&core->memory, address, &value, size))
        return false;
    for (unsigned i = 0; i < core->watch_count; i++)
        if (overlaps(&core->watches[i], address, size)) {
            core->stored = true;
            core->trap = (struct dr_trap){0, address, core->cpu.pc, size};
        }
    return true;
}

bool dr_fetch(struct dr_core *core, uint32_t pc, uint32_t size, uint32_t *word) {
    if (!dr_memory_allows(&core->memory, pc, size, DR_EXECUTE))
        return false;
    *word = 0;
    memcpy(word, core->memory.base + pc, size);
    return true;
}

uint64_t dr_counter_instret(const struct dr_core *core) {
    return core->stats.instructions;
}

uint64_t dr_counter_cycle(const struct dr_core *core) {
    return core->stats.instructions;
}

/* Microseconds of the host's monotonic clock. */
uint64_t dr_counter_time(const struct dr_core *core) {
    struct timespec now;
    (void)core;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}
