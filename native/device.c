#include "device.h"

#include "core.h"

void dr_set_device(struct dr_core *core, void *handle, dr_device_reader *reader, dr_device_writer *writer) {
    core->handle = handle;
    core->read_device = reader;
    core->write_device = writer;
}

bool dr_device_read(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value) {
    return core->read_device && !core->read_device(core->handle, address, size, value);
}

bool dr_device_write(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value) {
    return core->write_device && !core->write_device(core->handle, address, size, value);
}
