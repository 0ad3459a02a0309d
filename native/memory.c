#include "memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api.h"

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
    if (memory->mapping)
        munmap(memory->mapping, DR_WINDOW + 2 * DR_GUARD + ALIGNMENT);
    if (memory->access)
        munmap(memory->access, ACCESS_BYTES);
    *memory = (struct dr_memory){0};
}

/* Protection of a host page, which may hold several guest pages: what any of them allows, unless one must fault. */
static int protection(const struct dr_memory *memory, uint64_t address) {
    int any = 0;
    for (uint64_t page = address; page < address + memory->host; page += DR_PAGE)
        any |= dr_memory_page(memory, page);
    if (any & (DR_DEVICE | DR_WATCH_READ) || !(any & (DR_READ | DR_WRITE | DR_EXECUTE)))
        return PROT_NONE;
    return PROT_READ | (any & DR_WRITE && !(any & (DR_WATCH_WRITE | DR_CODE)) ? PROT_WRITE : 0);
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

/* Brings the host's protection of a range in line with the permissions, in runs of equal protection. */
const char *dr_memory_apply(struct dr_memory *memory, uint64_t address, uint64_t size) {
    uint64_t start = address & ~(memory->host - 1), end = (address + size + memory->host - 1) & ~(memory->host - 1);
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
    dr_memory_flag(memory, address, flag, on);
    return !dr_memory_apply(memory, address, DR_PAGE);
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

/* Zeroes a range. Whole host pages go back to the system; the rest of a host page may hold other guest pages. */
static void clear(struct dr_memory *memory, uint64_t address, uint64_t size) {
    uint64_t host = memory->host, end = address + size;
    uint64_t first = (address + host - 1) & ~(host - 1), last = end & ~(host - 1);
    if (first < last)
        (void)mmap(memory->base + first, last - first, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    for (uint64_t page = address; page < end; page += DR_PAGE) {
        uint64_t start = page & ~(host - 1);
        if (start >= first && start + host <= last)
            continue;
        (void)mprotect(memory->base + start, host, PROT_READ | PROT_WRITE);
        memset(memory->base + page, 0, DR_PAGE);
    }
}

const char *dr_memory_map(struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    if (!aligned(address, size))
        return "a range of guest memory is not made of whole pages";
    clear(memory, address, size);
    return dr_memory_protect(memory, address, size, access);
}

const char *dr_memory_protect(struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    if (!aligned(address, size))
        return "a range of guest memory is not made of whole pages";
    for (uint64_t page = address; page < address + size; page += DR_PAGE)
        set_page(memory, page, (access & ~DR_KEPT) | (dr_memory_page(memory, page) & DR_KEPT));
    return dr_memory_apply(memory, address, size);
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

/* Opens the host pages of a range, unless they let through what is wanted as they are. */
static const char *open_pages(struct dr_memory *memory, uint64_t address, uint64_t size, int wanted, bool *opened) {
    uint64_t start = address & ~(memory->host - 1), end = (address + size + memory->host - 1) & ~(memory->host - 1);
    *opened = false;
    for (uint64_t page = start; page < end; page += memory->host)
        *opened = *opened || !(protection(memory, page) & wanted);
    return *opened && mprotect(memory->base + start, end - start, PROT_READ | PROT_WRITE) ? strerror(errno) : NULL;
}

static const char *close_pages(struct dr_memory *memory, uint64_t address, uint64_t size, bool opened) {
    return opened ? dr_memory_apply(memory, address, size) : NULL;
}

const char *dr_memory_read(struct dr_memory *memory, uint64_t address, void *to, uint64_t size) {
    bool opened;
    const char *error = open_pages(memory, address, size, PROT_READ, &opened);
    if (error)
        return error;
    memcpy(to, memory->base + address, size);
    return close_pages(memory, address, size, opened);
}

const char *dr_memory_write(struct dr_memory *memory, uint64_t address, const void *from, uint64_t size) {
    bool opened;
    const char *error = open_pages(memory, address, size, PROT_WRITE, &opened);
    if (error)
        return error;
    memcpy(memory->base + address, from, size);
    return close_pages(memory, address, size, opened);
}

bool dr_memory_holds(struct dr_memory *memory, uint64_t address, const void *bytes, uint64_t size) {
    bool opened;
    if (open_pages(memory, address, size, PROT_READ, &opened))
        return false;
    bool same = !memcmp(bytes, memory->base + address, size);
    return !close_pages(memory, address, size, opened) && same;
}
