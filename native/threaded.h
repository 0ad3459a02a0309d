/* What the threaded loops of generated interpreters are written in.
 *
 * In a loop, `insn` is the decoded instruction that is executed, `page` the one that it is in, and `left` the instructions that
 * may still start, this one among them, of `start`; `base` and `pages` are those of the memory, `state` is the guest's. Those before it are counted when somebody may look: before whatever is not
 * done in the loop itself. Behind an access that was not plain, the loop ends, so that the run loop looks at what it has caused.
 */
#ifndef DR_THREADED_H
#define DR_THREADED_H

#include "interp.h"

#define DR_RARE __attribute__((cold, noinline))

/* Counts instructions that the interpreter has executed. */
void dr_count_steps(struct dr_core *core, uint32_t count);

/* Behind the instruction at a pc, and so many before it: what comes of it. It is counted by the run loop. */
DR_RARE enum dr_status dr_leave(struct dr_core *core, uint32_t pc, uint32_t next, uint32_t before, enum dr_status status);

/* Before the instruction at a pc, and behind so many. */
DR_RARE void dr_pause(struct dr_core *core, uint32_t pc, uint32_t before);

DR_RARE enum dr_status dr_fail(struct dr_core *core, uint32_t pc, uint32_t before, uint32_t cause, uint32_t value,
                               uint32_t length);

/* Accesses that are not plain. false: they fail, or are held. */
DR_RARE bool dr_load_rare(struct dr_core *core, uint32_t pc, uint32_t before, uint32_t address, uint32_t size, int access,
                          uint32_t *value);
DR_RARE bool dr_store_rare(struct dr_core *core, uint32_t pc, uint32_t before, uint32_t address, uint32_t size, uint32_t value);

/* Makes a store that reaches nothing but memory with decoded code in the page. false: there is more to it, and it is not made. */
DR_RARE bool dr_store_to_decoded(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value);

/* The page with the instruction at pc; NULL: it is executed by itself. */
static inline struct dr_decoded_page *dr_decoded_page(struct dr_core *core, uint32_t pc, uint32_t parcel) {
    struct dr_decoded_page *page = *dr_decoded_place(&core->decoded, pc >> DR_PAGE_BITS);
    bool here = page && page->address == (pc & ~(DR_PAGE - 1)) && !(pc & (parcel - 1));
    return here && dr_decoded_is_trusted(&core->decoded, page) ? page : dr_decoded_renew(core, pc);
}

/* Whether an access in one page is allowed, and there is nothing else to it. pages: dr_memory.access. */
static inline bool dr_is_plain(const uint16_t *pages, uint32_t address, uint32_t size, uint16_t allowed, uint16_t rare) {
    uint16_t page = pages[address >> DR_PAGE_BITS];
    return (page & (allowed | rare)) == allowed && (address & (DR_PAGE - 1)) <= DR_PAGE - size;
}

static inline void dr_saturate(uint16_t *counter) {
    __atomic_store_n(counter, (uint16_t)(*counter + (*counter != UINT16_MAX)), __ATOMIC_RELAXED);
}

/* By how many parcels an address is behind another; more than there are, if that is no whole number. */
static inline uint32_t dr_parcels(uint32_t distance, uint32_t parcel) {
    return parcel == 1 ? distance : distance / parcel | distance << (32 - __builtin_ctz(parcel));
}

#define DR_PC (page->address + (uint32_t)(insn - page->insns) * DR_PARCEL)
#define DR_DISPATCH goto *handlers[insn->handler]

#define DR_NEXT(length, status) \
    do { \
        if (__builtin_expect(!--left, 0)) \
            return dr_leave(core, DR_PC, DR_PC + (length), start - 1, status); \
        insn += (length) / DR_PARCEL; \
        DR_DISPATCH; \
    } while (0)

#define DR_END(next, status) return dr_leave(core, DR_PC, next, start - left, status)
#define DR_FAIL(cause, value, length) return dr_fail(core, DR_PC, start - left, cause, value, length)

/* To `to`, the instruction that is `next` if it is in the page; what happens rarely is all in one place, off the way. */
#define DR_GO(to, next, inside) \
    do { \
        if (__builtin_expect(!--left || core->hurried || heats || !(inside), 0)) { \
            const uint32_t target = (to); \
            if (!left || core->hurried || (heats && dr_heats(core, target))) \
                return dr_leave(core, DR_PC, target, start - left - 1, DR_JUMPED); \
            struct dr_decoded_page *other = (inside) ? page : dr_decoded_page(core, target, DR_PARCEL); \
            if (!other) \
                return dr_leave(core, DR_PC, target, start - left - 1, DR_JUMPED); \
            page = other; \
            insn = page->insns + (target & (DR_PAGE - 1)) / DR_PARCEL; \
            DR_DISPATCH; \
        } \
        insn = (next); \
        DR_DISPATCH; \
    } while (0)

#define DR_JUMP(to) \
    do { \
        uint32_t parcels = dr_parcels((to) - page->address, DR_PARCEL); \
        DR_GO(to, page->insns + parcels, parcels < DR_PAGE / DR_PARCEL); \
    } while (0)

/* From its own address, by a constant that is a number of whole parcels. */
#define DR_JUMP_BY(distance) \
    do { \
        struct dr_decoded *const next = \
            (void *)((uintptr_t)insn + (uintptr_t)(intptr_t)(int32_t)(distance) * (sizeof *insn / DR_PARCEL)); \
        const uintptr_t behind = (uintptr_t)next - (uintptr_t)page->insns; \
        DR_GO(DR_PC + (distance), next, behind < DR_PAGE / DR_PARCEL * sizeof *insn); \
    } while (0)

/* A vote for the target, or several against it: what is left is a target that is hit more than four times in five. */
static inline void dr_note_target(struct dr_decoded *insn, uint32_t to) {
    enum { LAST = DR_DECODED_SLOTS - 1, AGAINST = 4 };
    uint8_t votes = insn->slots[LAST];
    if (to == insn->target)
        votes += votes < UINT8_MAX;
    else if (votes)
        votes = votes > AGAINST ? (uint8_t)(votes - AGAINST) : 0;
    else
        __atomic_store_n(&insn->target, to, __ATOMIC_RELAXED);
    __atomic_store_n(&insn->slots[LAST], votes, __ATOMIC_RELAXED);
}

#define DR_LOAD_PLAIN(type, access, cause, length, address, value) \
    do { \
        if (__builtin_expect(dr_is_plain(pages, address, sizeof(type), access, DR_SLOW_READ), 1)) { \
            type loaded; \
            memcpy(&loaded, base + (address), sizeof loaded); \
            (value) = (uint32_t)loaded; \
        } else { \
            uint32_t loaded; \
            if (!dr_load_rare(core, DR_PC, start - left, address, sizeof(type), access, &loaded)) \
                return dr_raise(core, cause, address, length); \
            (value) = (uint32_t)(type)loaded; \
            start = left = 1; \
        } \
    } while (0)

#define DR_STORE_PLAIN(type, cause, length, address, value) \
    do { \
        if (__builtin_expect(dr_is_plain(pages, address, sizeof(type), DR_WRITE, DR_SLOW_WRITE | DR_DECODED), 1)) { \
            type stored = (type)(value); \
            memcpy(base + (address), &stored, sizeof stored); \
        } else if (!dr_store_to_decoded(core, address, sizeof(type), (type)(value))) { \
            if (!dr_store_rare(core, DR_PC, start - left, address, sizeof(type), (type)(value))) \
                return dr_raise(core, cause, address, length); \
            start = left = 1; \
        } \
    } while (0)

#endif
