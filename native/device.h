/* Devices: registers behind ranges of guest pages. Those of machines are in devices/, others in Python (dynarec/core.py). */
#ifndef DR_DEVICE_H
#define DR_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"

/* A device of Python. 0: done; 1: it refuses the access. */
typedef int dr_device_reader(void *handle, uint32_t offset, uint32_t size, uint32_t *value);
typedef int dr_device_writer(void *handle, uint32_t offset, uint32_t size, uint32_t value);

/* The serial port's other end. */
typedef void dr_uart_sender(void *handle, const uint8_t *data, uint32_t count);
typedef uint32_t dr_uart_source(void *handle, uint8_t *data, uint32_t room); /* input that is always ready: how much */

struct dr_device {
    uint32_t address, size;
    bool (*read)(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t *value);
    bool (*write)(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t value);
    /* What `read` would give, without its effects; NULL: that cannot be told. */
    bool (*peek)(const struct dr_core *core, uint32_t offset, uint32_t size, uint32_t *value);
    dr_device_reader *reader;
    dr_device_writer *writer;
    void *handle;
};

/* Puts a device at whole pages. 0, or -1 and dr_error. */
int dr_add_device(struct dr_core *core, struct dr_device device);
int dr_add_python(struct dr_core *core, uint32_t address, uint32_t size, void *handle, dr_device_reader *reader,
                  dr_device_writer *writer);
void dr_connect_uart(struct dr_core *core, void *handle, dr_uart_sender *sender, dr_uart_source *source);

/* The guest's accesses. false: refused, or there is no device. */
bool dr_device_read(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value);
bool dr_device_write(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value);

/* `size` bytes of a register from byte `offset` on, and the register after a store there. */
static inline uint32_t dr_part(uint64_t value, uint32_t offset, uint32_t size) {
    return (uint32_t)(value >> 8 * offset & ((UINT64_C(1) << 8 * size) - 1));
}

static inline uint64_t dr_replaced(uint64_t value, uint32_t offset, uint32_t size, uint32_t part) {
    uint64_t mask = ((UINT64_C(1) << 8 * size) - 1) << 8 * offset;
    return (value & ~mask) | ((uint64_t)part << 8 * offset & mask);
}

#endif
