/* What switches a machine off: "sifive,test0" of QEMU's boards, and the syscon of mini-rv32ima, which is like it. */
#include "core.h"

enum { PASS = 0x5555, FAIL = 0x3333, RESET = 0x7777, SIZE = 0x1000 };

static bool peek(const struct dr_core *core, uint32_t offset, uint32_t size, uint32_t *value) {
    (void)core, (void)offset, (void)size;
    *value = 0;
    return true;
}

static bool read(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t *value) {
    (void)device;
    return peek(core, offset, size, value);
}

/* A reset ends the run too: nothing starts the machine again. A failure has a code above its command. */
static bool write(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t value) {
    (void)device, (void)size;
    uint32_t command = value & 0xFFFF, code = value >> 16 & 0xFF;
    if (offset || (command != PASS && command != FAIL && command != RESET))
        return true;
    core->off_status = command != FAIL ? 0 : code ? code : 1;
    core->event = DR_STOP_OFF;
    return true;
}

int dr_add_finisher(struct dr_core *core, uint32_t address) {
    return dr_add_device(core, (struct dr_device){.address = address, .size = SIZE, .read = read, .write = write, .peek = peek});
}
