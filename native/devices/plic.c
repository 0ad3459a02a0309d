/* The PLIC. Sources are levels: one that is still up when its interrupt has been completed is pending again. */
#include "core.h"

enum { PENDING = 0x1000, ENABLE = 0x2000, THRESHOLD = 0x200000, CLAIM = 0x200004, SIZE = 0x600000 };
enum { WORD = 4, SOURCES = 32, PRIORITY_MASK = 7 };

/* The pending source of the highest priority above the threshold, the lowest number first; 0: none. */
static uint32_t best(const struct dr_plic *plic) {
    uint32_t found = 0, highest = plic->threshold;
    for (uint32_t ready = plic->pending & plic->enabled & ~1u; ready; ready &= ready - 1) {
        uint32_t number = (uint32_t)__builtin_ctz(ready);
        if (plic->priority[number] > highest) {
            found = number;
            highest = plic->priority[number];
        }
    }
    return found;
}

/* A level gets through its gateway unless its interrupt is claimed and not yet completed. */
void dr_update_plic(struct dr_core *core) {
    struct dr_plic *plic = &core->plic;
    plic->levels = atomic_load_explicit(&core->sources, memory_order_acquire);
    plic->pending = (plic->pending & plic->levels) | (plic->levels & ~plic->claimed);
    dr_set_lines(core, core->external_line, best(plic) != 0);
}

static uint32_t claim(struct dr_core *core) {
    uint32_t number = best(&core->plic), bit = UINT32_C(1) << number & ~1u;
    core->plic.claimed |= bit;
    core->plic.pending &= ~bit;
    dr_update_plic(core);
    return number;
}

static bool is_word(uint32_t offset, uint32_t size) {
    return size == WORD && offset % WORD == 0;
}

static bool peek(const struct dr_core *core, uint32_t offset, uint32_t size, uint32_t *value) {
    const struct dr_plic *plic = &core->plic;
    if (!is_word(offset, size))
        return false;
    *value = offset < WORD * SOURCES ? plic->priority[offset / WORD]
             : offset == PENDING     ? plic->pending
             : offset == ENABLE      ? plic->enabled
             : offset == THRESHOLD   ? plic->threshold
             : offset == CLAIM       ? best(plic)
                                     : 0;
    return true;
}

static bool read(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t *value) {
    (void)device;
    if (offset != CLAIM || size != WORD)
        return peek(core, offset, size, value);
    *value = claim(core);
    return true;
}

static bool write(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t value) {
    (void)device;
    struct dr_plic *plic = &core->plic;
    if (!is_word(offset, size))
        return false;
    if (offset && offset < WORD * SOURCES)
        plic->priority[offset / WORD] = value & PRIORITY_MASK;
    else if (offset == ENABLE)
        plic->enabled = value & ~1u;
    else if (offset == THRESHOLD)
        plic->threshold = value & PRIORITY_MASK;
    else if (offset == CLAIM && value < SOURCES && plic->enabled >> value & 1)
        plic->claimed &= ~(UINT32_C(1) << value);
    dr_update_plic(core);
    return true;
}

void dr_set_source(struct dr_core *core, uint32_t number, int up) {
    uint32_t bit = number < SOURCES ? UINT32_C(1) << number & ~1u : 0;
    if (!(atomic_load_explicit(&core->sources, memory_order_relaxed) & bit) == !up)
        return;
    (void)(up ? atomic_fetch_or(&core->sources, bit) : atomic_fetch_and(&core->sources, ~bit));
    dr_attract(core);
}

int dr_add_plic(struct dr_core *core, uint32_t address, uint32_t external) {
    core->external_line = external;
    return dr_add_device(core, (struct dr_device){.address = address, .size = SIZE, .read = read, .write = write, .peek = peek});
}
