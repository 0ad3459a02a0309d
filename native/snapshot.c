#include "snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "core.h"
#include "pages.h"

#define MOST_DIRTY 16384u  /* host pages: the ranges of different protection that they make are few to any system */
#define WORTH_RETURNING 16 /* zero pages in a row: to have the system drop them costs less than to write them */
#define PAGE_COUNT ((uint32_t)DR_PAGES)

/* The guest's permissions at one moment. */
struct dr_map {
    atomic_uint references;
    uint32_t count;
    struct dr_run runs[];
};

struct dr_pages {
    struct dr_tree *tree;
    struct dr_map *map;
};

static struct dr_map *share_map(struct dr_map *map) {
    atomic_fetch_add_explicit(&map->references, 1, memory_order_relaxed);
    return map;
}

static void drop_map(struct dr_map *map) {
    if (map && atomic_fetch_sub_explicit(&map->references, 1, memory_order_acq_rel) == 1)
        free(map);
}

/* -- tracking -------------------------------------------------------------------------------------------------------- */

static void set_flag(struct dr_memory *memory, uint32_t page, bool on) {
    uint16_t access = memory->access[page];
    __atomic_store_n(&memory->access[page], (uint16_t)(on ? access | DR_DIRTY : access & ~DR_DIRTY), __ATOMIC_RELAXED);
}

static void forget_dirty(struct dr_memory *memory) {
    for (size_t i = 0; i < memory->dirty_count; i++)
        set_flag(memory, memory->dirty[i], false);
    memory->dirty_count = 0;
}

const char *dr_tracking_stop(struct dr_memory *memory) {
    forget_dirty(memory);
    memory->tracked = false;
    return dr_memory_apply(memory, 0, DR_WINDOW);
}

static bool reserve_dirty(struct dr_memory *memory, size_t more) {
    return dr_grow((void **)&memory->dirty, &memory->dirty_room, memory->dirty_count + more, sizeof *memory->dirty);
}

/* Makes the guest pages of a host page dirty. false: there is no room for more. */
static bool mark(struct dr_memory *memory, uint64_t start) {
    size_t pages = memory->host >> DR_PAGE_BITS;
    if (memory->dirty_count >= MOST_DIRTY * pages || !reserve_dirty(memory, pages))
        return false;
    for (uint32_t page = (uint32_t)(start >> DR_PAGE_BITS), end = page + (uint32_t)pages; page < end; page++) {
        memory->dirty[memory->dirty_count++] = page;
        set_flag(memory, page, true);
    }
    return true;
}

const char *dr_tracking_note_store(struct dr_memory *memory, uint64_t address, uint64_t size) {
    bool changed = false;
    if (!memory->tracked)
        return NULL;
    for (uint64_t at = address & ~(memory->host - 1); at < address + size; at += memory->host) {
        if (dr_memory_page(memory, at) & DR_DIRTY)
            continue;
        if (!mark(memory, at))
            return dr_tracking_stop(memory);
        changed = true;
    }
    return changed && dr_memory_apply(memory, address, size) ? dr_tracking_stop(memory) : NULL;
}

void dr_tracking_note_clear(struct dr_memory *memory, uint64_t address, uint64_t size) {
    for (uint64_t at = address; memory->tracked && at < address + size; at += DR_PAGE)
        if (!(dr_memory_page(memory, at) & DR_DIRTY) && dr_tree_page(memory->image, (uint32_t)(at >> DR_PAGE_BITS)))
            if (!mark(memory, at & ~(memory->host - 1)))
                (void)dr_tracking_stop(memory);
}

void dr_tracking_note_map(struct dr_memory *memory) {
    drop_map(memory->map);
    memory->map = NULL;
}

void dr_tracking_free(struct dr_memory *memory) {
    free(memory->dirty);
    dr_tree_drop(memory->image);
    drop_map(memory->map);
}

/* -- pages that may differ from the image ---------------------------------------------------------------------------- */

static bool add_page(void *context, uint32_t page) {
    struct dr_memory *memory = context;
    if (!reserve_dirty(memory, 1))
        return false;
    memory->dirty[memory->dirty_count++] = page;
    return true;
}

static bool is_mapped(const struct dr_memory *memory, uint32_t page) {
    return memory->access[page] & DR_GUEST;
}

/* Without tracking: all pages that are, or were, more than zeros. */
static bool add_all(struct dr_memory *memory) {
    for (uint32_t page = 0; page < PAGE_COUNT; page++)
        if (is_mapped(memory, page) && !add_page(memory, page))
            return false;
    return dr_tree_compare(memory->image, NULL, add_page, memory);
}

static int ascending(const void *a, const void *b) {
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

static void sort_dirty(struct dr_memory *memory) {
    size_t kept = 0;
    if (memory->dirty_count)
        qsort(memory->dirty, memory->dirty_count, sizeof *memory->dirty, ascending);
    for (size_t i = 0; i < memory->dirty_count; i++)
        if (!kept || memory->dirty[kept - 1] != memory->dirty[i])
            memory->dirty[kept++] = memory->dirty[i];
    memory->dirty_count = kept;
}

/* Lists what may differ from the image, and what differs between the image and `other`. */
static bool list_pages(struct dr_memory *memory, const struct dr_tree *other) {
    bool good = memory->tracked || add_all(memory);
    good = good && dr_tree_compare(memory->image, other, add_page, memory);
    sort_dirty(memory);
    return good;
}

/* The end of the row of pages that begins with number `first` of the list. */
static size_t row_end(const struct dr_memory *memory, size_t first) {
    size_t end = first + 1;
    while (end < memory->dirty_count && memory->dirty[end] == memory->dirty[end - 1] + 1)
        end++;
    return end;
}

/* All pages in the list are as they are in the image: from now on, stores to them are noticed. */
static const char *begin_tracking(struct dr_memory *memory) {
    const char *error = NULL;
    bool all = !memory->tracked;
    memory->tracked = true;
    for (size_t i = 0; i < memory->dirty_count; i++)
        set_flag(memory, memory->dirty[i], false);
    for (size_t i = 0, end; !all && !error && i < memory->dirty_count; i = end) {
        end = row_end(memory, i);
        error = dr_memory_apply(memory, (uint64_t)memory->dirty[i] << DR_PAGE_BITS, (uint64_t)(end - i) << DR_PAGE_BITS);
    }
    if (all)
        error = dr_memory_apply(memory, 0, DR_WINDOW);
    memory->dirty_count = 0;
    return error ? dr_tracking_stop(memory) : NULL;
}

/* -- the guest's permissions ----------------------------------------------------------------------------------------- */

static uint32_t guest_access(const struct dr_memory *memory, uint32_t page) {
    return memory->access[page] & DR_GUEST;
}

static struct dr_map *make_map(const struct dr_run *runs, uint32_t count) {
    struct dr_map *map = malloc(sizeof *map + count * sizeof *runs);
    if (!map)
        return NULL;
    atomic_init(&map->references, 1);
    map->count = count;
    if (count)
        memcpy(map->runs, runs, count * sizeof *runs);
    return map;
}

static struct dr_map *read_map(const struct dr_memory *memory) {
    DR_VECTOR(struct dr_run) runs = {NULL, 0, 0};
    struct dr_map *map = NULL;
    bool good = true;
    uint32_t before = 0;
    for (uint32_t page = 0; good && page < PAGE_COUNT; page++) {
        uint32_t access = guest_access(memory, page);
        if (access && access == before)
            runs.at[runs.count - 1].count++;
        else if (access && (good = DR_RESERVE(runs, 1)))
            runs.at[runs.count++] = (struct dr_run){page, 1, access};
        before = access;
    }
    if (good)
        map = make_map(runs.at, (uint32_t)runs.count);
    free(runs.at);
    return map;
}

/* The present permissions; NULL without memory. */
static struct dr_map *current_map(struct dr_memory *memory) {
    if (!memory->map)
        memory->map = read_map(memory);
    return memory->map;
}

/* A page's permissions, and where the stretch of pages with the same ones ends. */
static uint32_t access_at(const struct dr_map *map, uint32_t page, uint32_t *end) {
    uint32_t low = 0, high = map->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (map->runs[middle].first + map->runs[middle].count <= page)
            low = middle + 1;
        else
            high = middle;
    }
    const struct dr_run *run = low < map->count ? &map->runs[low] : NULL;
    bool inside = run && run->first <= page;
    *end = !run ? PAGE_COUNT : inside ? run->first + run->count : run->first;
    return inside ? run->access : 0;
}

static const char *set_access(struct dr_core *core, uint32_t first, uint32_t end, uint32_t access) {
    for (uint32_t page = first; page < end; page++) {
        uint16_t *now = &core->memory.access[page];
        __atomic_store_n(now, (uint16_t)((*now & ~DR_GUEST) | access), __ATOMIC_RELAXED);
    }
    return dr_memory_apply(&core->memory, (uint64_t)first << DR_PAGE_BITS, (uint64_t)(end - first) << DR_PAGE_BITS);
}

static const char *restore_map(struct dr_core *core, struct dr_map *map) {
    struct dr_memory *memory = &core->memory;
    const struct dr_map *now = current_map(memory);
    const char *error = now ? NULL : "no memory for the permissions of guest pages";
    if (error || now == map)
        return error;
    for (uint32_t page = 0, end; page < PAGE_COUNT && !error; page = end) {
        uint32_t end_now, end_then;
        uint32_t access_now = access_at(now, page, &end_now), access = access_at(map, page, &end_then);
        end = end_now < end_then ? end_now : end_then;
        if (access_now == access)
            continue;
        atomic_store(&core->sync, true); /* units may have been made from what can no longer be executed */
        error = set_access(core, page, end, access);
    }
    dr_tracking_note_map(memory);
    if (!error)
        memory->map = share_map(map);
    return error;
}

/* -- taking ---------------------------------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *bytes) {
    return !bytes[0] && !memcmp(bytes, bytes + 1, DR_PAGE - 1);
}

/* Brings one page of the image up to date. */
static const char *update_image(struct dr_memory *memory, uint32_t page) {
    uint8_t bytes[DR_PAGE];
    const uint8_t *known = dr_tree_page(memory->image, page), *wanted = NULL;
    if (is_mapped(memory, page)) {
        const char *error = dr_memory_read(memory, (uint64_t)page << DR_PAGE_BITS, bytes, DR_PAGE);
        if (error)
            return error;
        wanted = is_zero(bytes) ? NULL : bytes;
    }
    if (wanted ? known && !memcmp(known, wanted, DR_PAGE) : !known)
        return NULL;
    return dr_tree_set(&memory->image, page, wanted) ? NULL : "no memory for a snapshot";
}

static const char *update_images(struct dr_memory *memory) {
    const char *error = list_pages(memory, memory->image) ? NULL : "no memory for a snapshot";
    for (size_t i = 0; i < memory->dirty_count && !error; i++)
        error = update_image(memory, memory->dirty[i]);
    return error ? error : begin_tracking(memory);
}

static struct dr_pages *share_pages(struct dr_memory *memory) {
    struct dr_map *map = current_map(memory);
    struct dr_pages *pages = map ? malloc(sizeof *pages) : NULL;
    if (!pages)
        return NULL;
    *pages = (struct dr_pages){dr_tree_share(memory->image), share_map(map)};
    return pages;
}

static struct dr_pages *save_pages(struct dr_core *core) {
    struct dr_memory *memory = &core->memory;
    dr_failure = update_images(memory);
    if (dr_failure) {
        const char *error = dr_failure;
        (void)dr_tracking_stop(memory); /* the list is not what it should be */
        dr_failure = error;
        return NULL;
    }
    struct dr_pages *pages = share_pages(memory);
    dr_failure = pages ? NULL : "no memory for a snapshot";
    return pages;
}

/* -- going back ------------------------------------------------------------------------------------------------------ */

static void note_code(struct dr_core *core, uint32_t page) {
    dr_decoded_forget(core, (uint64_t)page << DR_PAGE_BITS, DR_PAGE);
    if (dr_memory_page(&core->memory, (uint64_t)page << DR_PAGE_BITS) & DR_CODE)
        atomic_store(&core->sync, true); /* the units whose bytes are others now die before the next run */
}

static void write_page(struct dr_core *core, uint32_t page, const uint8_t *wanted) {
    uint8_t *bytes = core->memory.base + ((uint64_t)page << DR_PAGE_BITS);
    if (wanted ? !memcmp(bytes, wanted, DR_PAGE) : is_zero(bytes))
        return;
    if (wanted)
        memcpy(bytes, wanted, DR_PAGE);
    else
        memset(bytes, 0, DR_PAGE);
    note_code(core, page);
}

/* How many pages from number `first` of the list on, before `end`, are zeros. */
static size_t zeros(const struct dr_memory *memory, const struct dr_tree *tree, size_t first, size_t end) {
    size_t at = first;
    while (at < end && !dr_tree_page(tree, memory->dirty[at]))
        at++;
    return at - first;
}

static const char *open_row(struct dr_memory *memory, size_t first, size_t end) {
    return dr_memory_open(memory, (uint64_t)memory->dirty[first] << DR_PAGE_BITS, (uint64_t)(end - first) << DR_PAGE_BITS);
}

/* The host's pages are open. */
static void write_row(struct dr_core *core, const struct dr_tree *tree, size_t first, size_t end) {
    const struct dr_memory *memory = &core->memory;
    for (size_t i = first; i < end; i++)
        write_page(core, memory->dirty[i], dr_tree_page(tree, memory->dirty[i]));
}

static const char *clear_row(struct dr_core *core, size_t first, size_t end) {
    struct dr_memory *memory = &core->memory;
    for (size_t i = first; i < end; i++)
        note_code(core, memory->dirty[i]);
    return dr_memory_clear(memory, (uint64_t)memory->dirty[first] << DR_PAGE_BITS, (uint64_t)(end - first) << DR_PAGE_BITS);
}

/* Where the next long stretch of zeros begins, from number `first` of the list on; `end` if none does. */
static size_t next_zeros(const struct dr_memory *memory, const struct dr_tree *tree, size_t first, size_t end) {
    for (size_t at = first, count; at < end; at += count ? count : 1) {
        count = zeros(memory, tree, at, end);
        if (count >= WORTH_RETURNING)
            return at;
    }
    return end;
}

static const char *restore_row(struct dr_core *core, const struct dr_tree *tree, size_t first, size_t end) {
    struct dr_memory *memory = &core->memory;
    while (first < end) {
        size_t next = next_zeros(memory, tree, first, end);
        bool zero = next == first;
        if (zero)
            next = first + zeros(memory, tree, first, end);
        const char *error = zero ? clear_row(core, first, next) : open_row(memory, first, next);
        if (error)
            return error;
        if (!zero)
            write_row(core, tree, first, next);
        first = next;
    }
    return NULL;
}

static const char *restore_bytes(struct dr_core *core, struct dr_tree *tree) {
    struct dr_memory *memory = &core->memory;
    const char *error = NULL;
    for (size_t i = 0, end; i < memory->dirty_count && !error; i = end) {
        end = row_end(memory, i);
        error = restore_row(core, tree, i, end);
    }
    if (error)
        return error;
    dr_tree_drop(memory->image);
    memory->image = dr_tree_share(tree);
    return begin_tracking(memory);
}

static const char *check_devices(const struct dr_memory *memory, const struct dr_map *map) {
    for (uint32_t i = 0; i < map->count; i++)
        for (uint32_t page = map->runs[i].first; page < map->runs[i].first + map->runs[i].count; page++)
            if (memory->access[page] & DR_DEVICE)
                return "the snapshot has memory where this machine has a device";
    return NULL;
}

int dr_check_pages(struct dr_core *core, const struct dr_pages *pages) {
    dr_failure = core->memory.map == pages->map ? NULL : check_devices(&core->memory, pages->map);
    return dr_failure ? -1 : 0;
}

static int restore_pages(struct dr_core *core, const struct dr_pages *pages) {
    struct dr_memory *memory = &core->memory;
    const char *error = list_pages(memory, pages->tree) ? NULL : "no memory to go back to a snapshot"; /* all are mapped still */
    if (!error)
        error = restore_map(core, pages->map);
    if (!error)
        error = restore_bytes(core, pages->tree);
    if (error)
        (void)dr_tracking_stop(memory);
    dr_failure = error;
    return error ? -1 : 0;
}

/* Other threads read guest memory, whose pages are opened and closed here. */
struct dr_pages *dr_save_pages(struct dr_core *core) {
    dr_lock_tables(core);
    struct dr_pages *pages = save_pages(core);
    dr_unlock_tables(core);
    return pages;
}

int dr_restore_pages(struct dr_core *core, const struct dr_pages *pages) {
    if (dr_check_pages(core, pages))
        return -1;
    dr_lock_tables(core);
    int result = restore_pages(core, pages);
    dr_unlock_tables(core);
    return result;
}

static bool count_one(void *context, uint32_t page) {
    (void)page;
    ++*(uint32_t *)context;
    return true;
}

uint32_t dr_count_different(const struct dr_pages *a, const struct dr_pages *b) {
    uint32_t count = 0;
    (void)dr_tree_compare(a->tree, b->tree, count_one, &count);
    return count;
}

/* -- snapshots from elsewhere ---------------------------------------------------------------------------------------- */

static const char *check_runs(const struct dr_run *runs, uint32_t count) {
    uint32_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (runs[i].first < end || runs[i].first >= PAGE_COUNT || !runs[i].count || runs[i].count > PAGE_COUNT - runs[i].first)
            return "the pages of a snapshot are in no order";
        if (!runs[i].access || runs[i].access & ~(uint32_t)DR_GUEST)
            return "a page of a snapshot has permissions that there are not";
        end = runs[i].first + runs[i].count;
    }
    return NULL;
}

struct dr_pages *dr_make_pages(const struct dr_run *runs, uint32_t count) {
    dr_failure = check_runs(runs, count);
    if (dr_failure)
        return NULL;
    struct dr_map *map = make_map(runs, count);
    struct dr_pages *pages = map ? malloc(sizeof *pages) : NULL;
    if (pages)
        *pages = (struct dr_pages){NULL, map};
    else
        drop_map(map);
    dr_failure = pages ? NULL : "no memory for a snapshot";
    return pages;
}

int dr_put_page(struct dr_pages *pages, uint32_t page, const void *bytes) {
    uint32_t end;
    if (page >= PAGE_COUNT || !access_at(pages->map, page, &end))
        dr_failure = "a snapshot has bytes where it has no memory";
    else
        dr_failure = dr_tree_set(&pages->tree, page, bytes) ? NULL : "no memory for a snapshot";
    return dr_failure ? -1 : 0;
}

void dr_free_pages(struct dr_pages *pages) {
    dr_tree_drop(pages->tree);
    drop_map(pages->map);
    free(pages);
}

struct listing {
    uint32_t *numbers, room, count;
};

static bool list_page(void *context, uint32_t page) {
    struct listing *listing = context;
    if (listing->count < listing->room)
        listing->numbers[listing->count] = page;
    listing->count++;
    return true;
}

uint32_t dr_list_pages(const struct dr_pages *pages, uint32_t *numbers, uint32_t room) {
    struct listing listing = {numbers, room, 0};
    (void)dr_tree_compare(pages->tree, NULL, list_page, &listing);
    return listing.count;
}

const void *dr_page_bytes(const struct dr_pages *pages, uint32_t page) {
    return page < PAGE_COUNT ? dr_tree_page(pages->tree, page) : NULL;
}

const struct dr_run *dr_page_runs(const struct dr_pages *pages, uint32_t *count) {
    *count = pages->map->count;
    return pages->map->runs;
}
