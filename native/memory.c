#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api.h"
#include "snapshot.h"

static void *reserve(size_t size, int protection) {
    void *memory = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

#define ACCESS_BYTES (DR_PAGES * sizeof(uint16_t))
#define ALIGNMENT (UINT64_C(1) << 16) /* of the window: no host has larger pages */

const char *dr_memory_create(struct dr_memory *memory, uint64_t host_page) {
    memory->mapping = reserve(DR_WINDOW + 2 * DR_GUARD + ALIGNMENT, PROT_NONE);
    if (!memory->mapping)
        return "4 GiB of address space for the guest could not be reserved (see ulimit -v)";
    memory->access = reserve(ACCESS_BYTES, PROT_READ | PROT_WRITE);
    if (!memory->access)
        return "no memory for the guest's page permissions";
    uint64_t start = ((uint64_t)memory->mapping + DR_GUARD + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    memory->base = memory->mapping + (start - (uint64_t)memory->mapping);
    memory->host = (uint64_t)sysconf(_SC_PAGESIZE);
    if (host_page > memory->host)
        memory->host = host_page;
    return NULL;
}

void dr_memory_destroy(struct dr_memory *memory) {
    dr_tracking_free(memory);
    dr_mirrors_free(memory);
    if (memory->mapping)
        munmap(memory->mapping, DR_WINDOW + 2 * DR_GUARD + ALIGNMENT);
    if (memory->access)
        munmap(memory->access, ACCESS_BYTES);
    *memory = (struct dr_memory){0};
}

/* What is known of any of the guest pages in a host page. */
static int any_of(const struct dr_memory *memory, uint64_t address) {
    int any = 0;
    for (uint64_t page = address; page < address + memory->host; page += DR_PAGE)
        any |= dr_memory_page(memory, page);
    return any;
}

/* Protection of a host page, which may hold several guest pages: what any of them allows, unless one must fault. */
static int protection(const struct dr_memory *memory, uint64_t address) {
    int any = any_of(memory, address);
    if (any & (DR_DEVICE | DR_WATCH_READ | DR_WATCH_WRITE) || !(any & DR_READ))
        return PROT_NONE;
    bool noticed = any & (DR_WATCH_STORED | DR_CODE) || (memory->tracked && !(any & DR_DIRTY));
    return PROT_READ | (any & DR_WRITE && !noticed ? PROT_WRITE : 0);
}

static void set_page(struct dr_memory *memory, uint64_t address, int access) {
    if (dr_memory_page(memory, address) != access)
        __atomic_store_n(&memory->access[address >> DR_PAGE_BITS], (uint16_t)access, __ATOMIC_RELAXED);
}

/* Guest pages that may do more than their host page lets through. */
static void note_slow(struct dr_memory *memory, uint64_t start, uint64_t end, int let) {
    for (uint64_t page = start; page < end; page += DR_PAGE) {
        uint16_t access = dr_memory_page(memory, page);
        int slow = access & DR_WRITE && !(let & PROT_WRITE) ? DR_SLOW_WRITE : 0;
        slow |= access & (DR_READ | DR_EXECUTE) && !(let & PROT_READ) ? DR_SLOW_READ : 0;
        set_page(memory, page, (access & ~(DR_SLOW_READ | DR_SLOW_WRITE)) | slow);
    }
}

/* In runs of equal protection. */
const char *dr_memory_apply(struct dr_memory *memory, uint64_t address, uint64_t size) {
    uint64_t start = address & ~(memory->host - 1), end = (address + size + memory->host - 1) & ~(memory->host - 1);
    const char *error = dr_mirrors_flush(memory, start, end);
    if (error)
        return error;
    while (start < end) {
        int wanted = protection(memory, start);
        uint64_t stop = start + memory->host;
        while (stop < end && protection(memory, stop) == wanted)
            stop += memory->host;
        if (mprotect(memory->base + start, stop - start, wanted))
            return strerror(errno);
        note_slow(memory, start, stop, wanted);
        start = stop;
    }
    return NULL;
}

void dr_memory_flag(struct dr_memory *memory, uint64_t address, uint16_t flag, bool on) {
    uint16_t access = dr_memory_page(memory, address);
    set_page(memory, address, on ? access | flag : access & ~flag);
}

bool dr_memory_mark(struct dr_memory *memory, uint32_t page, uint16_t flag, bool on) {
    uint64_t address = (uint64_t)page << DR_PAGE_BITS;
    uint16_t access = dr_memory_page(memory, address);
    dr_memory_flag(memory, address, flag, on);
    if (!dr_memory_apply(memory, address, DR_PAGE))
        return true;
    set_page(memory, address, access);
    return false;
}

bool dr_memory_is_mixed(const struct dr_memory *memory, uint32_t address, uint64_t size) {
    for (uint64_t at = address; at < address + size; at = (at | (DR_PAGE - 1)) + 1)
        if (dr_memory_page(memory, at) & DR_MIXED)
            return true;
    return memory->all_mixed;
}

static bool aligned(uint64_t address, uint64_t size) {
    return !((address | size) & (DR_PAGE - 1)) && address <= DR_WINDOW && size <= DR_WINDOW - address;
}

/* Whole host pages go back to the system; the rest of a host page may hold other guest pages. */
const char *dr_memory_clear(struct dr_memory *memory, uint64_t address, uint64_t size) {
    uint64_t host = memory->host, end = address + size;
    uint64_t first = (address + host - 1) & ~(host - 1), last = end & ~(host - 1);
    const char *error = dr_mirrors_flush(memory, address, end);
    if (error)
        return error;
    if (first < last && mmap(memory->base + first, last - first, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return strerror(errno);
    for (uint64_t page = address; page < end; page += DR_PAGE) {
        uint64_t start = page & ~(host - 1);
        if (start >= first && start + host <= last)
            continue;
        if (mprotect(memory->base + start, host, PROT_READ | PROT_WRITE))
            return strerror(errno);
        memset(memory->base + page, 0, DR_PAGE);
    }
    return NULL;
}

/* What a device is must fault, and what memory is must not: they cannot share a page of the host. */
static bool is_shared_with_device(const struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    uint64_t start = address & ~(memory->host - 1), end = (address + size + memory->host - 1) & ~(memory->host - 1);
    for (uint64_t page = start; access && page < end; page += DR_PAGE) {
        int other = dr_memory_page(memory, page) & (DR_GUEST | DR_DEVICE);
        if ((page < address || page >= address + size) && other && !(other & DR_DEVICE) == !!(access & DR_DEVICE))
            return true;
    }
    return false;
}

/* The system has no room for so many different pages (vm.max_map_count). If it cannot even go back, no access is fast. */
static void restore(struct dr_memory *memory, uint64_t address, uint64_t size, const uint16_t *before) {
    for (uint64_t i = 0; i < size >> DR_PAGE_BITS; i++)
        set_page(memory, address + (i << DR_PAGE_BITS), before[i]);
    if (dr_memory_apply(memory, address, size))
        for (uint64_t page = address; page < address + size; page += DR_PAGE)
            set_page(memory, page, dr_memory_page(memory, page) | DR_SLOW_READ | DR_SLOW_WRITE);
}

const char *dr_memory_map(struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    if (!aligned(address, size))
        return "a range of guest memory is not made of whole pages";
    if (is_shared_with_device(memory, address, size, access))
        return "a device and memory share a page of the host: put the device at a multiple of the host's page size";
    dr_tracking_note_clear(memory, address, size);
    const char *error = dr_memory_clear(memory, address, size);
    return error ? error : dr_memory_protect(memory, address, size, access);
}

const char *dr_memory_protect(struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    if (!aligned(address, size))
        return "a range of guest memory is not made of whole pages";
    uint16_t *before = malloc((size >> DR_PAGE_BITS) * sizeof *before + 1);
    if (!before)
        return "no memory to change the permissions of pages";
    memcpy(before, memory->access + (address >> DR_PAGE_BITS), (size >> DR_PAGE_BITS) * sizeof *before);
    for (uint64_t page = address; page < address + size; page += DR_PAGE)
        set_page(memory, page, (access & ~DR_KEPT) | (dr_memory_page(memory, page) & DR_KEPT));
    dr_tracking_note_map(memory);
    const char *error = dr_memory_apply(memory, address, size);
    if (error && memory->tracked)
        error = dr_tracking_stop(memory);
    if (error)
        restore(memory, address, size, before);
    free(before);
    return error;
}

int64_t dr_memory_check(const struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    if (address > DR_WINDOW || size > DR_WINDOW - address)
        return (int64_t)(address < DR_WINDOW ? DR_WINDOW - 1 : address);
    for (uint64_t at = address; at < address + size; at = (at | (DR_PAGE - 1)) + 1) {
        int page = dr_memory_page(memory, at);
        bool mapped = page & (DR_READ | DR_WRITE | DR_EXECUTE) && !(page & DR_DEVICE);
        if (!mapped || (page & access) != access)
            return (int64_t)at;
    }
    return -1;
}

static const char *open_to(struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    uint64_t start = address & ~(memory->host - 1), end = (address + size + memory->host - 1) & ~(memory->host - 1);
    const char *error = dr_mirrors_flush(memory, start, end);
    if (error)
        return error;
    return mprotect(memory->base + start, end - start, access) ? strerror(errno) : NULL;
}

const char *dr_memory_open(struct dr_memory *memory, uint64_t address, uint64_t size) {
    return open_to(memory, address, size, PROT_READ | PROT_WRITE);
}

/* Opens the host pages of a range for a copy, unless they let it through as they are. They are opened to no more than that: what
 * has other protection than its neighbours, the system neither joins with them nor splits off again, which costs twice as much. */
static const char *copy(struct dr_memory *memory, uint64_t address, uint64_t size, int wanted, void *to, const void *from) {
    uint64_t start = address & ~(memory->host - 1), end = address + size;
    bool open = true;
    for (uint64_t page = start; page < end; page += memory->host)
        open = open && protection(memory, page) & wanted;
    const char *error = open ? NULL : open_to(memory, address, size, wanted);
    if (error)
        return error;
    memcpy(to, from, size);
    return open ? NULL : dr_memory_apply(memory, address, size);
}

/* The mirror that holds a range; NULL: it has to be read and written where it is. */
static struct dr_mirror *mirror_of(struct dr_memory *memory, uint64_t address, uint64_t size) {
    uint64_t page = address & ~(memory->host - 1);
    bool watched = size <= page + memory->host - address && any_of(memory, page) & (DR_WATCH_READ | DR_WATCH_WRITE);
    return watched ? dr_mirror(memory, page) : NULL;
}

const char *dr_memory_read(struct dr_memory *memory, uint64_t address, void *to, uint64_t size) {
    const struct dr_mirror *mirror = size ? mirror_of(memory, address, size) : NULL;
    if (mirror) {
        memcpy(to, mirror->bytes + (address - mirror->page), size);
        return NULL;
    }
    return copy(memory, address, size, PROT_READ, to, memory->base + address);
}

bool dr_memory_equals(struct dr_memory *memory, uint64_t address, const uint8_t *bytes, uint64_t size) {
    uint8_t piece[256];
    for (uint64_t at = 0, step; at < size; at += step) {
        step = size - at < sizeof piece ? size - at : sizeof piece;
        if (dr_memory_read(memory, address + at, piece, step) || memcmp(piece, bytes + at, step))
            return false;
    }
    return true;
}

const char *dr_memory_write(struct dr_memory *memory, uint64_t address, const void *from, uint64_t size) {
    const char *error = dr_tracking_note_store(memory, address, size);
    struct dr_mirror *mirror = size && !error ? mirror_of(memory, address, size) : NULL;
    if (!mirror)
        return error ? error : copy(memory, address, size, PROT_WRITE, memory->base + address, from);
    memcpy(mirror->bytes + (address - mirror->page), from, size);
    mirror->changed = true;
    return NULL;
}
