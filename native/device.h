/* Device accesses go to Python (dynarec/core.py), which the cffi module connects when it is loaded. */
#ifndef DR_DEVICE_H
#define DR_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"

/* 0: done; 1: the device refuses the access. */
typedef int dr_device_reader(void *handle, uint32_t address, uint32_t size, uint32_t *value);
typedef int dr_device_writer(void *handle, uint32_t address, uint32_t size, uint32_t value);

void dr_set_device(struct dr_core *core, void *handle, dr_device_reader *reader, dr_device_writer *writer);
bool dr_device_read(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value);
bool dr_device_write(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value);

#endif
