#include "blocks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host.h"

#define FIRST_ROOM 256
#define FIRST_TABLE 1024
#define PAGES_BYTES (DR_PAGES * sizeof(struct dr_page_use *))

bool dr_grow(void **at, size_t *room, size_t wanted, size_t size) {
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

static void divide(struct dr_blocks *blocks, uint32_t code_size) {
    uint32_t count = code_size / DR_GENERATIONS < DR_SMALLEST_GENERATION ? 1 : DR_GENERATIONS;
    uint32_t each = code_size / count & ~(DR_CODE_ALIGN - 1);
    blocks->generation_count = count;
    uint32_t counters = DR_COUNTERS / count;
    for (uint32_t i = 0; i < count; i++)
        blocks->generations[i] = (struct dr_generation){
            .start = i * each, .end = (i + 1) * each, .fill = i * each,
            .first_counter = i * counters, .end_counter = (i + 1) * counters, .next_counter = i * counters};
    blocks->generations[count - 1].end = code_size;
}

const char *dr_blocks_create(struct dr_blocks *blocks, uint32_t code_size, uint64_t *counters) {
    divide(blocks, code_size);
    blocks->counters = counters;
    blocks->table = calloc(FIRST_TABLE, sizeof(struct dr_block *));
    blocks->table_size = FIRST_TABLE;
    void *pages = mmap(NULL, PAGES_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    blocks->pages = pages == MAP_FAILED ? NULL : pages;
    return blocks->table && blocks->pages ? NULL : "no memory for the tables of the code cache";
}

/* -- the table ------------------------------------------------------------------------------------------------------- */

static void enter(struct dr_blocks *blocks, struct dr_block *block) {
    struct dr_block **chain = dr_blocks_chain(blocks, block->key);
    block->next = *chain;
    *chain = block;
}

static bool enlarge(struct dr_blocks *blocks) {
    struct dr_block **old = blocks->table;
    size_t size = blocks->table_size;
    struct dr_block **table = calloc(2 * size, sizeof(struct dr_block *));
    if (!table)
        return false;
    blocks->table = table;
    blocks->table_size = 2 * size;
    for (size_t i = 0; i < size; i++)
        for (struct dr_block *block = old[i], *next; block; block = next) {
            next = block->next;
            enter(blocks, block);
        }
    free(old);
    return true;
}

/* -- units ----------------------------------------------------------------------------------------------------------- */

static uint32_t pages_of(const struct dr_range *range) {
    return range->size ? ((range->address + range->size - 1) >> DR_PAGE_BITS) - (range->address >> DR_PAGE_BITS) + 1 : 0;
}

struct sizes {
    size_t source, uses, all;
};

static struct sizes measure(const struct dr_unit *unit) {
    struct sizes sizes = {0, 0, 0};
    for (uint32_t i = 0; i < unit->range_count; i++) {
        sizes.source += unit->ranges[i].size;
        sizes.uses += pages_of(&unit->ranges[i]);
    }
    sizes.all = sizeof(struct dr_block) + unit->exit_count * sizeof(struct dr_link) +
                sizes.uses * sizeof(struct dr_page_use) + unit->site_count * sizeof(struct dr_site) +
                unit->range_count * sizeof(struct dr_range) + unit->loan_count * sizeof(struct dr_loan) +
                unit->recovery_count * sizeof(struct dr_recovery) + sizes.source;
    return sizes;
}

/* The arrays follow each other in the order of their alignment. */
static struct dr_block *allocate(const struct dr_unit *unit) {
    struct sizes sizes = measure(unit);
    struct dr_block *block = calloc(1, sizes.all);
    if (!block)
        return NULL;
    block->exits = (struct dr_link *)(block + 1);
    block->uses = (struct dr_page_use *)(block->exits + unit->exit_count);
    block->sites = (struct dr_site *)(block->uses + sizes.uses);
    block->ranges = (struct dr_range *)(block->sites + unit->site_count);
    block->loans = (struct dr_loan *)(block->ranges + unit->range_count);
    block->recoveries = (struct dr_recovery *)(block->loans + unit->loan_count);
    block->source = (uint8_t *)(block->recoveries + unit->recovery_count);
    return block;
}

static struct dr_unit_record *make_record(const struct dr_unit *unit) {
    size_t numbers = (size_t)unit->exit_count + unit->site_count;
    struct dr_unit_record *record = calloc(1, sizeof *record + numbers * sizeof *record->missed);
    if (!record)
        return NULL;
    record->missed = (uint64_t *)(record + 1);
    record->site_faults = record->missed + unit->exit_count;
    record->counter_count = unit->counter_count;
    return record;
}

static void free_unit(struct dr_block *block) {
    if (block->record)
        free(block->record->final);
    free(block->record);
    free(block);
}

static void copy_array(void *to, const void *from, size_t size) {
    if (size)
        memcpy(to, from, size);
}

static void fill(struct dr_block *block, const struct dr_unit *unit) {
    block->key = unit->key;
    block->size = unit->code_size;
    block->insns = unit->insns;
    block->body = unit->body;
    block->exit_count = unit->exit_count;
    block->site_count = unit->site_count;
    block->range_count = unit->range_count;
    block->loan_count = unit->loan_count;
    block->recovery_count = unit->recovery_count;
    block->checked = unit->checked;
    block->alive = true;
    copy_array(block->sites, unit->sites, unit->site_count * sizeof *unit->sites);
    copy_array(block->ranges, unit->ranges, unit->range_count * sizeof *unit->ranges);
    copy_array(block->loans, unit->loans, unit->loan_count * sizeof *unit->loans);
    copy_array(block->recoveries, unit->recoveries, unit->recovery_count * sizeof *unit->recoveries);
    for (uint32_t i = 0; i < unit->exit_count; i++)
        block->exits[i] = (struct dr_link){.exit = unit->exits[i], .unit = block};
    copy_array(block->source, unit->source, unit->source_size);
}

static void use_page(struct dr_blocks *blocks, struct dr_block *block, uint32_t page) {
    struct dr_page_use *use = &block->uses[block->use_count++], **head = &blocks->pages[page];
    *use = (struct dr_page_use){block, *head, head};
    if (*head)
        (*head)->back = &use->next;
    *head = use;
}

static void use_pages(struct dr_blocks *blocks, struct dr_block *block) {
    for (uint32_t i = 0; i < block->range_count; i++)
        for (uint32_t page = 0; page < pages_of(&block->ranges[i]); page++)
            use_page(blocks, block, (block->ranges[i].address >> DR_PAGE_BITS) + page);
}

bool dr_blocks_fit(const struct dr_blocks *blocks, const struct dr_unit *unit) {
    const struct dr_generation *generation = &blocks->generations[blocks->current];
    return unit->code_size <= generation->end - generation->fill &&
           unit->counter_count <= generation->end_counter - generation->next_counter;
}

struct dr_block *dr_blocks_add(struct dr_blocks *blocks, const struct dr_unit *unit) {
    struct dr_generation *generation = &blocks->generations[blocks->current];
    if (!DR_RESERVE(generation->units, 1) || (blocks->alive >= blocks->table_size && !enlarge(blocks)))
        return NULL;
    struct dr_block *block = allocate(unit);
    if (block && blocks->recording && !(block->record = make_record(unit))) {
        free(block);
        return NULL;
    }
    if (!block)
        return NULL;
    if (block->record)
        block->record->counter_first = generation->next_counter;
    generation->next_counter += unit->counter_count;
    fill(block, unit);
    block->start = generation->fill;
    generation->fill = (block->start + block->size + DR_CODE_ALIGN - 1) & ~(DR_CODE_ALIGN - 1);
    if (generation->fill > generation->end)
        generation->fill = generation->end;
    generation->units.at[generation->units.count++] = block;
    enter(blocks, block);
    use_pages(blocks, block);
    blocks->alive++;
    return block;
}

static const struct dr_generation *generation_at(const struct dr_blocks *blocks, uint64_t offset) {
    for (uint32_t i = 0; i < blocks->generation_count; i++)
        if (offset - blocks->generations[i].start < blocks->generations[i].fill - blocks->generations[i].start)
            return &blocks->generations[i];
    return NULL;
}

struct dr_block *dr_blocks_at(const struct dr_blocks *blocks, uint64_t offset) {
    const struct dr_generation *generation = generation_at(blocks, offset);
    size_t low = 0, high = generation ? generation->units.count : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (generation->units.at[middle]->start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return NULL;
    struct dr_block *block = generation->units.at[low - 1];
    return offset - block->start < block->size ? block : NULL;
}

struct dr_link *dr_blocks_find_exit(const struct dr_blocks *blocks, uint64_t offset) {
    struct dr_block *block = dr_blocks_at(blocks, offset - 1);
    for (uint32_t i = 0; block && i < block->exit_count; i++)
        if (block->exits[i].exit.ret == offset - block->start)
            return &block->exits[i];
    return NULL;
}

const struct dr_site *dr_block_site(const struct dr_block *block, uint64_t offset) {
    const struct dr_site *found = NULL;
    for (uint32_t i = 0; i < block->site_count; i++)
        if (block->sites[i].offset <= offset - block->start)
            found = &block->sites[i];
    return found;
}

bool dr_block_is_current(const struct dr_block *block, struct dr_memory *memory) {
    const uint8_t *source = block->source;
    if (!block->range_count)
        return false; /* made where nothing could be fetched: perhaps now something can */
    for (uint32_t i = 0; i < block->range_count; i++) {
        const struct dr_range *range = &block->ranges[i];
        if (dr_memory_check(memory, range->address, range->size, DR_EXECUTE) >= 0)
            return false;
        if (!dr_memory_equals(memory, range->address, source, range->size))
            return false;
        source += range->size;
    }
    return true;
}

bool dr_block_overlaps(const struct dr_block *block, uint64_t address, uint64_t size) {
    for (uint32_t i = 0; i < block->range_count; i++) {
        uint64_t start = block->ranges[i].address, end = start + block->ranges[i].size;
        if (start < address + size && address < end)
            return true;
    }
    return false;
}

bool dr_block_holds(const struct dr_block *block, uint64_t address, uint64_t size) {
    while (size && dr_block_overlaps(block, address + size - 1, 1))
        size--;
    return !size;
}

void dr_blocks_kill(struct dr_blocks *blocks, struct dr_block *block) {
    struct dr_block **at = dr_blocks_chain(blocks, block->key);
    while (*at != block)
        at = &(*at)->next;
    *at = block->next;
    for (uint32_t i = 0; i < block->use_count; i++) {
        struct dr_page_use *use = &block->uses[i];
        *use->back = use->next;
        if (use->next)
            use->next->back = use->back;
    }
    block->alive = false;
    blocks->alive--;
}

/* Its counters are about to become those of others. Without memory for what they say, that is lost. */
static void bury(struct dr_blocks *blocks, struct dr_block *block) {
    struct dr_unit_record *record = block->record;
    size_t size = record->counter_count * sizeof *record->final;
    if (size && !(record->final = malloc(size))) {
        free_unit(block);
        return;
    }
    copy_array(record->final, &blocks->counters[record->counter_first], size);
    block->next = blocks->buried;
    blocks->buried = block;
}

void dr_blocks_free_buried(struct dr_blocks *blocks) {
    for (struct dr_block *block = blocks->buried, *next; block; block = next) {
        next = block->next;
        free_unit(block);
    }
    blocks->buried = NULL;
}

void dr_blocks_empty(struct dr_blocks *blocks, uint32_t number) {
    struct dr_generation *generation = &blocks->generations[number];
    for (size_t i = 0; i < generation->units.count; i++) {
        struct dr_block *block = generation->units.at[i];
        if (blocks->recording && block->record)
            bury(blocks, block);
        else
            free_unit(block);
    }
    uint32_t counters = generation->next_counter - generation->first_counter;
    if (counters)
        memset(&blocks->counters[generation->first_counter], 0, counters * sizeof *blocks->counters);
    generation->next_counter = generation->first_counter;
    generation->units.count = 0;
    generation->fill = generation->start;
    memset(blocks->recent, 0, sizeof blocks->recent);
}

void dr_blocks_free(struct dr_blocks *blocks) {
    blocks->recording = false;
    dr_blocks_free_buried(blocks);
    for (uint32_t i = 0; i < blocks->generation_count; i++) {
        dr_blocks_empty(blocks, i);
        free(blocks->generations[i].units.at);
    }
    free(blocks->table);
    if (blocks->pages)
        munmap(blocks->pages, PAGES_BYTES);
    memset(blocks, 0, sizeof *blocks);
}
