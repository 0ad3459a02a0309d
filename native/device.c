#include "device.h"

#include "core.h"

int dr_add_device(struct dr_core *core, struct dr_device device) {
    if (!DR_RESERVE(core->devices, 1)) {
        dr_failure = "no memory for one more device";
        return -1;
    }
    core->last_device = NULL; /* they may have moved */
    if (dr_map(core, device.address, device.size, DR_DEVICE))
        return -1;
    core->devices.at[core->devices.count++] = device;
    return 0;
}

static bool holds(const struct dr_device *device, uint32_t address, uint32_t size) {
    uint32_t offset = address - device->address;
    return offset < device->size && size <= device->size - offset;
}

/* The one that was added last may stand where another one stood. */
static const struct dr_device *search(struct dr_core *core, uint32_t address, uint32_t size) {
    for (size_t i = core->devices.count; i--;)
        if (holds(&core->devices.at[i], address, size))
            return core->last_device = &core->devices.at[i];
    return NULL;
}

static inline const struct dr_device *find(struct dr_core *core, uint32_t address, uint32_t size) {
    const struct dr_device *last = core->last_device;
    return last && holds(last, address, size) ? last : search(core, address, size);
}

bool dr_device_read(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value) {
    const struct dr_device *device = find(core, address, size);
    DR_COUNT(core->stats.device_reads, 1);
    *value = 0;
    return device && device->read(core, device, address - device->address, size, value);
}

bool dr_device_write(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    const struct dr_device *device = find(core, address, size);
    DR_COUNT(core->stats.device_writes, 1);
    return device && device->write(core, device, address - device->address, size, value);
}

int dr_device_range(const struct dr_core *core, uint32_t index, struct dr_range *where) {
    if (index >= core->devices.count)
        return -1;
    *where = (struct dr_range){core->devices.at[index].address, core->devices.at[index].size};
    return 0;
}

int dr_read_device(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value) {
    return dr_device_read(core, address, size, value) ? 0 : -1;
}

int dr_write_device(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    return dr_device_write(core, address, size, value) ? 0 : -1;
}

int dr_peek_device(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value) {
    const struct dr_device *device = find(core, address, size);
    return device && device->peek && device->peek(core, address - device->address, size, value) ? 0 : -1;
}

/* -- devices of Python ------------------------------------------------------------------------------------------------ */

static bool read_python(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t *value) {
    dr_calls_python(core, true);
    bool good = !device->reader(device->handle, offset, size, value);
    dr_calls_python(core, false);
    return good;
}

static bool write_python(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t value) {
    dr_calls_python(core, true);
    bool good = !device->writer(device->handle, offset, size, value);
    dr_calls_python(core, false);
    return good;
}

int dr_add_python(struct dr_core *core, uint32_t address, uint32_t size, void *handle, dr_device_reader *reader,
                  dr_device_writer *writer) {
    struct dr_device device = {
        .address = address, .size = size, .read = read_python, .write = write_python,
        .reader = reader, .writer = writer, .handle = handle,
    };
    return dr_add_device(core, device);
}
