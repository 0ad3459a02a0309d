#include "blocks.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 256
#define FIRST_TABLE 1024
#define TABLE_LOAD_PERCENT 60

static bool grow(void **at, size_t *room, size_t wanted, size_t size) {
    size_t next = *room ? *room : FIRST_ROOM;
    while (next < wanted)
        next *= 2;
    if (next == *room)
        return true;
    void *bigger = realloc(*at, next * size);
    if (!bigger)
        return false;
    *at = bigger;
    *room = next;
    return true;
}

#define RESERVE(vector, more) \
    grow((void **)&(vector).at, &(vector).room, (vector).count + (more), sizeof *(vector).at)

static size_t slot_of(const struct dr_blocks *blocks, uint64_t key) {
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (blocks->table_size - 1);
}

static void enter(struct dr_blocks *blocks, uint32_t number) {
    size_t slot = slot_of(blocks, blocks->blocks.at[number].key);
    while (blocks->table[slot])
        slot = (slot + 1) & (blocks->table_size - 1);
    blocks->table[slot] = number + 1;
    blocks->table_used++;
}

/* Makes the table anew with the live units alone, larger if they fill it. */
static bool rebuild(struct dr_blocks *blocks) {
    size_t size = blocks->table_size ? blocks->table_size : FIRST_TABLE;
    while ((blocks->alive + 1) * 100 * 2 > size * TABLE_LOAD_PERCENT)
        size *= 2;
    uint32_t *table = calloc(size, sizeof *table);
    if (!table)
        return false;
    free(blocks->table);
    blocks->table = table;
    blocks->table_size = size;
    blocks->table_used = 0;
    for (uint32_t i = 0; i < blocks->blocks.count; i++)
        if (blocks->blocks.at[i].alive)
            enter(blocks, i);
    return true;
}

static bool make_room(struct dr_blocks *blocks, const struct dr_unit *unit, size_t source) {
    if ((blocks->table_used + 1) * 100 > blocks->table_size * TABLE_LOAD_PERCENT && !rebuild(blocks))
        return false;
    return RESERVE(blocks->blocks, 1) && RESERVE(blocks->links, unit->exit_count) &&
           RESERVE(blocks->sites, unit->site_count) && RESERVE(blocks->ranges, unit->range_count) &&
           RESERVE(blocks->loans, unit->loan_count) &&
           RESERVE(blocks->sources, source);
}

static size_t source_size(const struct dr_unit *unit) {
    size_t size = 0;
    for (uint32_t i = 0; i < unit->range_count; i++)
        size += unit->ranges[i].size;
    return size;
}

static void copy_source(struct dr_blocks *blocks, const struct dr_unit *unit, const uint8_t *window) {
    for (uint32_t i = 0; i < unit->range_count; i++) {
        memcpy(blocks->sources.at + blocks->sources.count, window + unit->ranges[i].address, unit->ranges[i].size);
        blocks->sources.count += unit->ranges[i].size;
        blocks->ranges.at[blocks->ranges.count++] = unit->ranges[i];
    }
}

uint32_t dr_blocks_add(struct dr_blocks *blocks, const struct dr_unit *unit, uint32_t start, const uint8_t *window) {
    if (!make_room(blocks, unit, source_size(unit)))
        return DR_NONE;
    uint32_t number = (uint32_t)blocks->blocks.count;
    blocks->blocks.at[blocks->blocks.count++] = (struct dr_block){
        .key = unit->key,
        .start = start,
        .size = unit->code_size,
        .insns = unit->insns,
        .first_exit = (uint32_t)blocks->links.count,
        .exit_count = unit->exit_count,
        .first_site = (uint32_t)blocks->sites.count,
        .site_count = unit->site_count,
        .first_range = (uint32_t)blocks->ranges.count,
        .range_count = unit->range_count,
        .first_loan = (uint32_t)blocks->loans.count,
        .loan_count = unit->loan_count,
        .source = (uint32_t)blocks->sources.count,
        .incoming = DR_NONE,
        .alive = true,
    };
    for (uint32_t i = 0; i < unit->exit_count; i++)
        blocks->links.at[blocks->links.count++] = (struct dr_link){unit->exits[i], number, DR_NONE, DR_NONE};
    for (uint32_t i = 0; i < unit->site_count; i++)
        blocks->sites.at[blocks->sites.count++] = unit->sites[i];
    for (uint32_t i = 0; i < unit->loan_count; i++)
        blocks->loans.at[blocks->loans.count++] = unit->loans[i];
    copy_source(blocks, unit, window);
    enter(blocks, number);
    blocks->alive++;
    return number;
}

uint32_t dr_blocks_find(const struct dr_blocks *blocks, uint64_t key) {
    if (!blocks->table_size)
        return DR_NONE;
    for (size_t slot = slot_of(blocks, key); blocks->table[slot]; slot = (slot + 1) & (blocks->table_size - 1)) {
        const struct dr_block *block = &blocks->blocks.at[blocks->table[slot] - 1];
        if (block->key == key && block->alive)
            return blocks->table[slot] - 1;
    }
    return DR_NONE;
}

uint32_t dr_blocks_at(const struct dr_blocks *blocks, uint64_t offset) {
    size_t low = 0, high = blocks->blocks.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (blocks->blocks.at[middle].start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return DR_NONE;
    const struct dr_block *block = &blocks->blocks.at[low - 1];
    return offset - block->start < block->size ? (uint32_t)(low - 1) : DR_NONE;
}

uint32_t dr_blocks_exit(const struct dr_blocks *blocks, uint64_t offset) {
    uint32_t number = dr_blocks_at(blocks, offset - 1);
    if (number == DR_NONE)
        return DR_NONE;
    const struct dr_block *block = &blocks->blocks.at[number];
    for (uint32_t i = block->first_exit; i < block->first_exit + block->exit_count; i++)
        if (blocks->links.at[i].exit.ret == offset - block->start)
            return i;
    return DR_NONE;
}

const struct dr_site *dr_blocks_site(const struct dr_blocks *blocks, const struct dr_block *block, uint64_t offset) {
    const struct dr_site *found = NULL;
    for (uint32_t i = block->first_site; i < block->first_site + block->site_count; i++)
        if (blocks->sites.at[i].offset <= offset - block->start)
            found = &blocks->sites.at[i];
    return found;
}

bool dr_blocks_current(const struct dr_blocks *blocks, const struct dr_block *block, const struct dr_memory *memory) {
    const uint8_t *source = blocks->sources.at + block->source;
    if (!block->range_count)
        return false; /* made where nothing could be fetched: perhaps now something can */
    for (uint32_t i = block->first_range; i < block->first_range + block->range_count; i++) {
        const struct dr_range *range = &blocks->ranges.at[i];
        if (dr_memory_check(memory, range->address, range->size, DR_EXECUTE) >= 0)
            return false;
        if (memcmp(source, memory->base + range->address, range->size))
            return false;
        source += range->size;
    }
    return true;
}

void dr_blocks_kill(struct dr_blocks *blocks, uint32_t number) {
    blocks->blocks.at[number].alive = false;
    blocks->alive--;
}

void dr_blocks_clear(struct dr_blocks *blocks) {
    blocks->blocks.count = blocks->links.count = blocks->sites.count = 0;
    blocks->ranges.count = blocks->loans.count = blocks->sources.count = 0;
    blocks->table_used = blocks->alive = 0;
    blocks->code_end = 0;
    if (blocks->table)
        memset(blocks->table, 0, blocks->table_size * sizeof *blocks->table);
}

void dr_blocks_free(struct dr_blocks *blocks) {
    free(blocks->blocks.at);
    free(blocks->links.at);
    free(blocks->sites.at);
    free(blocks->ranges.at);
    free(blocks->loans.at);
    free(blocks->sources.at);
    free(blocks->table);
    memset(blocks, 0, sizeof *blocks);
}
