/* What generated interpreters are written in: the ops of the IR in C, guest memory with its slow paths, traps.
 *
 * The ops have the edge cases of the IR's table (dynarec/ir/ops.py): names are the table's, so an op without a line here fails
 * to compile. Values are uint32_t; I1 values are 0 or 1.
 */
#ifndef DR_INTERP_H
#define DR_INTERP_H

#include <string.h>

#include "core.h"

#define DR_BINARY(name, expression) \
    static inline uint32_t dr_op_##name(uint32_t a, uint32_t b) { return (uint32_t)(expression); }
#define DR_UNARY(name, expression) \
    static inline uint32_t dr_op_##name(uint32_t a) { return (uint32_t)(expression); }

DR_BINARY(add, a + b)
DR_BINARY(sub, a - b)
DR_BINARY(mul, a *b)
DR_BINARY(mulhu, (uint64_t)a *b >> 32)
DR_BINARY(mulhs, (int64_t)(int32_t)a * (int32_t)b >> 32)
DR_BINARY(mulhsu, (int64_t)(int32_t)a * (int64_t)(uint64_t)b >> 32)
DR_BINARY(divu, b ? a / b : UINT32_MAX)
DR_BINARY(remu, b ? a % b : a)
DR_BINARY(divs, !b ? -1 : a == 0x80000000u && b == UINT32_MAX ? (int32_t)a : (int32_t)a / (int32_t)b)
DR_BINARY(rems, !b ? (int32_t)a : a == 0x80000000u && b == UINT32_MAX ? 0 : (int32_t)a % (int32_t)b)
DR_BINARY(and, a &b)
DR_BINARY(or, a | b)
DR_BINARY(xor, a ^ b)
DR_BINARY(shl, a << (b & 31))
DR_BINARY(shr, a >> (b & 31))
DR_BINARY(sar, (int32_t)a >> (b & 31))
DR_BINARY(ror, a >> (b & 31) | a << (-b & 31))
DR_UNARY(sext8, (int8_t)a)
DR_UNARY(sext16, (int16_t)a)
DR_UNARY(zext8, (uint8_t)a)
DR_UNARY(zext16, (uint16_t)a)
DR_UNARY(clz, a ? __builtin_clz(a) : 32)
DR_UNARY(ctz, a ? __builtin_ctz(a) : 32)
DR_UNARY(popcnt, __builtin_popcount(a))
DR_UNARY(bswap, __builtin_bswap32(a))
DR_BINARY(eq, a == b)
DR_BINARY(ne, a != b)
DR_BINARY(ltu, a < b)
DR_BINARY(geu, a >= b)
DR_BINARY(lts, (int32_t)a < (int32_t)b)
DR_BINARY(ges, (int32_t)a >= (int32_t)b)
DR_UNARY(bit, a)

static inline uint32_t dr_op_select(uint32_t a, uint32_t b, uint32_t c) {
    return a ? b : c;
}

/* The slow paths: pages that are devices, hooked, hold code, or are not to be touched. false: the access fails, or is held. */
bool dr_load_slow(struct dr_core *core, uint32_t address, uint32_t size, int access, uint32_t *value);
bool dr_store_slow(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value);

bool dr_fetch_slow(struct dr_core *core, uint32_t pc, uint32_t size, uint32_t *word);

/* The bytes of an instruction, or its first ones. false: they cannot be fetched. */
static inline bool dr_fetch(struct dr_core *core, uint32_t pc, uint32_t size, uint32_t *word) {
    uint16_t page = core->memory.access[pc >> DR_PAGE_BITS];
    if ((pc & (DR_PAGE - 1)) > DR_PAGE - sizeof *word || (page & (DR_EXECUTE | DR_SLOW_READ)) != DR_EXECUTE)
        return dr_fetch_slow(core, pc, size, word);
    memcpy(word, core->memory.base + pc, sizeof *word);
    *word &= UINT32_MAX >> (32 - 8 * size);
    return true;
}

uint64_t dr_counter_instret(const struct dr_core *core);
uint64_t dr_counter_cycle(const struct dr_core *core);
uint64_t dr_counter_time(const struct dr_core *core);
uint64_t dr_counter_lines(const struct dr_core *core);

#define DR_LOAD(name, type, access) \
    static inline bool dr_##name(struct dr_core *core, uint32_t address, uint32_t *value) { \
        type loaded; \
        if (!dr_memory_allows(&core->memory, address, sizeof loaded, access) || \
            !dr_memory_is_fast(&core->memory, address, sizeof loaded, DR_SLOW_READ)) { \
            if (!dr_load_slow(core, address, sizeof loaded, access, value)) \
                return false; \
            *value = (uint32_t)(type)*value; \
            return true; \
        } \
        memcpy(&loaded, core->memory.base + address, sizeof loaded); \
        *value = (uint32_t)loaded; \
        return true; \
    }

/* By itself, and as the first half of an instruction that writes there. */
#define DR_LOADS(name, type) \
    DR_LOAD(name, type, DR_READ) \
    DR_LOAD(name##_to_write, type, DR_READ | DR_WRITE)

DR_LOADS(load8u, uint8_t)
DR_LOADS(load8s, int8_t)
DR_LOADS(load16u, uint16_t)
DR_LOADS(load16s, int16_t)
DR_LOADS(load32, uint32_t)

#define DR_STORE(name, type) \
    static inline bool dr_##name(struct dr_core *core, uint32_t address, uint32_t value) { \
        type stored = (type)value; \
        if (!dr_memory_allows(&core->memory, address, sizeof stored, DR_WRITE) || \
            !dr_memory_is_fast(&core->memory, address, sizeof stored, DR_SLOW_WRITE | DR_DECODED)) \
            return dr_store_slow(core, address, sizeof stored, stored); \
        memcpy(core->memory.base + address, &stored, sizeof stored); \
        return true; \
    }

DR_STORE(store8, uint8_t)
DR_STORE(store16, uint16_t)
DR_STORE(store32, uint32_t)

/* What a step comes to that has failed. */
static inline enum dr_status dr_raise(struct dr_core *core, uint32_t cause, uint32_t value, uint32_t length) {
    if (core->hooks.holds)
        return DR_HELD;
    core->trap = (struct dr_trap){cause, value, core->cpu.pc, length};
    return DR_TRAPPED;
}

#endif
