/* The CLINT. mtime is the guest's clock itself, and cannot be set. */
#include "core.h"

enum { MSIP = 0x0, MTIMECMP = 0x4000, MTIME = 0xBFF8, SIZE = 0x10000 };

static bool is_in(uint32_t offset, uint32_t size, uint32_t reg) {
    return offset >= reg && offset + size <= reg + sizeof(uint64_t);
}

static bool peek(const struct dr_core *core, uint32_t offset, uint32_t size, uint32_t *value) {
    if (is_in(offset, size, MTIME))
        *value = dr_part(dr_time(core), offset - MTIME, size);
    else if (is_in(offset, size, MTIMECMP))
        *value = dr_part(core->clint.compare, offset - MTIMECMP, size);
    else
        *value = offset == MSIP ? core->clint.pending : 0;
    return true;
}

static bool read(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t *value) {
    (void)device;
    return peek(core, offset, size, value);
}

/* The line is up when the time is not before mtimecmp. */
static void compare(struct dr_core *core) {
    bool due = dr_time(core) >= core->clint.compare;
    dr_set_lines(core, core->timer_line, due);
    dr_set_deadline(core, due ? UINT64_MAX : core->clint.compare, core->timer_line);
}

static bool write(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t value) {
    (void)device;
    if (is_in(offset, size, MTIMECMP)) {
        core->clint.compare = dr_replaced(core->clint.compare, offset - MTIMECMP, size, value);
        compare(core);
    } else if (offset == MSIP) {
        core->clint.pending = value & 1;
        dr_set_lines(core, core->software_line, (int)core->clint.pending);
    }
    return true;
}

int dr_add_clint(struct dr_core *core, uint32_t address, uint32_t software, uint32_t timer) {
    struct dr_device device = {.address = address, .size = SIZE, .read = read, .write = write, .peek = peek};
    core->clint.compare = UINT64_MAX;
    core->software_line = software;
    core->timer_line = timer;
    return dr_add_device(core, device);
}
