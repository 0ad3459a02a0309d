#include "decoded.h"

#include <stdlib.h>
#include <string.h>

#include "core.h"

#define LONGEST_INSN 4u
#define PIECE 64u

static uint32_t count_of(const struct dr_core *core) {
    return DR_PAGE >> core->config.jump_shift;
}

static void clear(const struct dr_core *core, struct dr_decoded_page *page, uint32_t first, uint32_t end) {
    for (uint32_t at = first; at < end; at += UINT32_C(1) << core->config.jump_shift)
        __atomic_store_n(&page->insns[at >> core->config.jump_shift].handler, 0, __ATOMIC_RELAXED);
}

/* The instructions with bytes in a range of the page. */
static void forget_in(const struct dr_core *core, struct dr_decoded_page *page, uint32_t first, uint32_t end) {
    uint32_t aligned = first & ~((UINT32_C(1) << core->config.jump_shift) - 1);
    clear(core, page, aligned < LONGEST_INSN ? 0 : aligned - LONGEST_INSN, end);
}

static struct dr_decoded_page *find(struct dr_core *core, uint64_t address) {
    struct dr_decoded_page *page = *dr_decoded_place(&core->decoded, (uint32_t)(address >> DR_PAGE_BITS));
    return page && page->address >> DR_PAGE_BITS == address >> DR_PAGE_BITS ? page : NULL;
}

void dr_decoded_forget(struct dr_core *core, uint64_t address, uint64_t size) {
    uint64_t end = address + size;
    for (uint64_t at = address, next; at < end; at = next) {
        next = (at | (DR_PAGE - 1)) + 1;
        struct dr_decoded_page *page = find(core, at);
        if (page)
            forget_in(core, page, (uint32_t)at & (DR_PAGE - 1), (uint32_t)((next < end ? next : end) - page->address));
    }
}

void dr_decoded_unguard(struct dr_core *core, uint32_t number) {
    struct dr_decoded_page *page = find(core, (uint64_t)number << DR_PAGE_BITS);
    if (page)
        page->guarded = false;
}

/* Takes away what has become another instruction. */
static void compare(struct dr_core *core, struct dr_decoded_page *page) {
    const uint8_t *bytes = core->memory.base + page->address;
    if (memcmp(page->source, bytes, DR_PAGE) == 0)
        return;
    for (uint32_t at = 0; at < DR_PAGE; at += PIECE)
        if (memcmp(page->source + at, bytes + at, PIECE) != 0)
            forget_in(core, page, at, at + PIECE);
    memcpy(page->source, bytes, DR_PAGE);
}

/* An empty one, in the place of another. */
static struct dr_decoded_page *replace(struct dr_core *core, uint32_t address) {
    struct dr_decoded_page **place = dr_decoded_place(&core->decoded, address >> DR_PAGE_BITS), *page = *place;
    if (page)
        dr_memory_flag(&core->memory, page->address, DR_DECODED, false);
    else
        page = *place = malloc(sizeof *page + (count_of(core) + 1) * sizeof *page->insns);
    if (!page)
        return NULL;
    memset(page->insns, 0, (count_of(core) + 1) * sizeof *page->insns);
    memcpy(page->source, core->memory.base + address, DR_PAGE);
    page->address = address;
    dr_memory_flag(&core->memory, address, DR_DECODED, true);
    return page;
}

static struct dr_decoded_page *renew(struct dr_core *core, uint32_t pc) {
    uint16_t access = dr_memory_page(&core->memory, pc);
    if ((access & (DR_EXECUTE | DR_SLOW_READ | DR_HOOKED)) != DR_EXECUTE || pc & ((UINT32_C(1) << core->config.jump_shift) - 1))
        return NULL;
    struct dr_decoded_page *page = find(core, pc);
    if (page)
        compare(core, page);
    else if (!(page = replace(core, pc & ~(DR_PAGE - 1))))
        return NULL;
    page->guarded = !(access & DR_WRITE) || access & DR_CODE;
    page->doubts = core->decoded.doubts;
    page->runs = core->decoded.runs;
    return page;
}

struct dr_decoded_page *dr_decoded_renew(struct dr_core *core, uint32_t pc) {
    dr_lock_tables(core); /* other threads unmap pages, and look at profiles */
    struct dr_decoded_page *page = renew(core, pc);
    dr_unlock_tables(core);
    return page;
}

void dr_decoded_set(struct dr_core *core, struct dr_decoded *insn, const struct dr_decoded *found) {
    dr_lock_tables(core); /* other threads look at profiles */
    *insn = *found;
    dr_unlock_tables(core);
}

void dr_decoded_free(struct dr_decoded_code *code) {
    for (unsigned i = 0; i < DR_DECODED_PAGES; i++)
        free(code->pages[i]);
}

void dr_profile(struct dr_core *core, uint32_t pc, struct dr_profile *profile) {
    *profile = (struct dr_profile){.kind = DR_PROFILE_NONE};
    dr_lock_tables(core);
    const struct dr_decoded_page *page = find(core, pc);
    const struct dr_decoded *insn = page ? &page->insns[(pc & (DR_PAGE - 1)) >> core->config.jump_shift] : NULL;
    if (insn && __atomic_load_n(&insn->handler, __ATOMIC_ACQUIRE))
        profile->kind = insn->profile;
    if (profile->kind == DR_PROFILE_BRANCH) {
        profile->taken = __atomic_load_n(&insn->taken, __ATOMIC_RELAXED);
        profile->fell = __atomic_load_n(&insn->fell, __ATOMIC_RELAXED);
    } else if (profile->kind == DR_PROFILE_JUMP) {
        profile->target = __atomic_load_n(&insn->target, __ATOMIC_RELAXED);
        profile->taken = __atomic_load_n(&insn->slots[DR_DECODED_SLOTS - 1], __ATOMIC_RELAXED);
    }
    dr_unlock_tables(core);
}
