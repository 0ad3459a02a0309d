/* The serial port. It belongs to the CPU thread; input of other threads waits in a mailbox until that looks. */
#include <string.h>

#include "core.h"

enum { DATA, INTERRUPTS, FIFO, LINE, MODEM, LINE_STATUS, MODEM_STATUS, SCRATCH, REGISTERS };
enum { SIZE = 0x1000, FIFO_BYTES = 16 };
enum { RECEIVE_ENABLED = 1, SEND_ENABLED = 2, ENABLE_MASK = 0xF };
enum { ID_NONE = 1, ID_SEND = 2, ID_RECEIVE = 4, ID_FIFO = 0xC0 };
enum { FIFO_ON = 1, FIFO_CLEAR_RECEIVED = 2, LATCH = 0x80, LOOPBACK = 0x10 };
enum { STATUS_RECEIVED = 0x01, STATUS_IDLE = 0x60 }; /* data is there; holding and shift register are empty */
enum { LINE_PATIENCE = 1000000 };                    /* instructions that a line may wait for its end */
enum { MODEM_PRESENT = 0xB0 };                       /* carrier, data set ready, clear to send */

/* -- what comes in ---------------------------------------------------------------------------------------------------- */

uint32_t dr_fetch_input(struct dr_core *core, uint8_t *to) {
    pthread_mutex_lock(&core->mail_lock);
    uint32_t count = atomic_load_explicit(&core->mail_count, memory_order_relaxed);
    memcpy(to, core->mail, count);
    atomic_store_explicit(&core->mail_count, 0, memory_order_release);
    pthread_mutex_unlock(&core->mail_lock);
    return count;
}

void dr_give_input(struct dr_core *core, const uint8_t *data, uint32_t count) {
    struct dr_uart *uart = &core->uart;
    uart->backlog_first = 0;
    uart->backlog_count = count < sizeof uart->backlog ? count : (uint32_t)sizeof uart->backlog;
    memcpy(uart->backlog, data, uart->backlog_count);
    atomic_store(&core->attend, true);
}

static void take_mail(struct dr_core *core) {
    struct dr_uart *uart = &core->uart;
    if (!atomic_load_explicit(&core->mail_count, memory_order_acquire))
        return;
    if (core->observer.holds_input) {
        if (!core->observer.holds_quietly)
            dr_input_due(core);
        return;
    }
    uart->backlog_first = 0;
    uart->backlog_count = dr_fetch_input(core, uart->backlog);
}

/* Whether there may be something to receive. */
static bool has_input(const struct dr_core *core) {
    if (core->uart.backlog_count)
        return true;
    return core->uart_source ? !core->uart_ended : atomic_load_explicit(&core->mail_count, memory_order_relaxed) != 0;
}

static void refill_backlog(struct dr_core *core) {
    struct dr_uart *uart = &core->uart;
    if (!core->uart_source) {
        take_mail(core);
        return;
    }
    uart->backlog_first = 0;
    uart->backlog_count = core->uart_ended ? 0 : core->uart_source(core->uart_handle, uart->backlog, sizeof uart->backlog);
    core->uart_ended = !uart->backlog_count;
}

static void receive(struct dr_uart *uart, uint8_t byte) {
    uart->received[(uart->received_first + uart->received_count) % FIFO_BYTES] = byte;
    if (uart->received_count < FIFO_BYTES)
        uart->received_count++;
}

static void fill(struct dr_core *core) {
    struct dr_uart *uart = &core->uart;
    while (uart->received_count < FIFO_BYTES && has_input(core)) {
        if (!uart->backlog_count)
            refill_backlog(core);
        if (!uart->backlog_count)
            return;
        receive(uart, uart->backlog[uart->backlog_first++ % sizeof uart->backlog]);
        uart->backlog_count--;
    }
}

uint32_t dr_feed_uart(struct dr_core *core, const uint8_t *data, uint32_t count) {
    pthread_mutex_lock(&core->mail_lock);
    uint32_t have = atomic_load_explicit(&core->mail_count, memory_order_relaxed);
    uint32_t taken = count < sizeof core->mail - have ? count : (uint32_t)sizeof core->mail - have;
    memcpy(core->mail + have, data, taken);
    atomic_store_explicit(&core->mail_count, have + taken, memory_order_release);
    pthread_mutex_unlock(&core->mail_lock);
    if (taken)
        dr_attract(core);
    return taken;
}

/* -- what goes out ---------------------------------------------------------------------------------------------------- */

void dr_flush_uart(struct dr_core *core) {
    uint32_t count = core->uart.line_count;
    if (!count)
        return;
    core->uart.line_count = 0;
    core->uart.looked = false;
    if (core->uart_sender)
        core->uart_sender(core->uart_handle, core->uart.line, count < sizeof core->uart.line ? count : sizeof core->uart.line);
}

static void transmit(struct dr_core *core, uint8_t byte) {
    struct dr_uart *uart = &core->uart;
    uart->sent = true;
    if (uart->registers[MODEM] & LOOPBACK) {
        receive(uart, byte);
        return;
    }
    if (!uart->line_count)
        uart->line_since = dr_virtual_time(core);
    uart->looked = false;
    uart->line[uart->line_count++ % sizeof uart->line] = byte;
    if (byte == '\n' || uart->line_count >= sizeof uart->line)
        dr_flush_uart(core);
}

/* -- the guest's side ------------------------------------------------------------------------------------------------- */

static uint8_t reason(const struct dr_uart *uart) {
    uint8_t enabled = uart->registers[INTERRUPTS];
    if (enabled & RECEIVE_ENABLED && uart->received_count)
        return ID_RECEIVE;
    return enabled & SEND_ENABLED && uart->sent ? ID_SEND : ID_NONE;
}

void dr_update_uart(struct dr_core *core) {
    if (core->uart.line_count && dr_virtual_time(core) - core->uart.line_since > LINE_PATIENCE)
        dr_flush_uart(core);
    fill(core);
    if (core->uart_line)
        dr_set_source(core, core->uart_line, reason(&core->uart) != ID_NONE);
}

static bool has_latch(const struct dr_uart *uart, uint32_t reg) {
    return reg <= INTERRUPTS && uart->registers[LINE] & LATCH;
}

/* Outputs of the modem control register are its inputs in loopback. */
static uint8_t modem_status(const struct dr_uart *uart) {
    uint8_t outputs = uart->registers[MODEM];
    if (!(outputs & LOOPBACK))
        return MODEM_PRESENT;
    return (uint8_t)((outputs & 1 ? 0x20 : 0) | (outputs & 2 ? 0x10 : 0) | (outputs & 4 ? 0x40 : 0) | (outputs & 8 ? 0x80 : 0));
}

static uint8_t look(const struct dr_uart *uart, uint32_t reg) {
    if (has_latch(uart, reg))
        return uart->divisor[reg];
    switch (reg) {
    case DATA:
        return uart->received_count ? uart->received[uart->received_first % FIFO_BYTES] : 0;
    case FIFO:
        return reason(uart) | (uart->fifo_on ? ID_FIFO : 0);
    case LINE_STATUS:
        return STATUS_IDLE | (uart->received_count ? STATUS_RECEIVED : 0);
    case MODEM_STATUS:
        return modem_status(uart);
    }
    return uart->registers[reg];
}

static bool peek(const struct dr_core *core, uint32_t offset, uint32_t size, uint32_t *value) {
    (void)size;
    *value = offset < REGISTERS ? look(&core->uart, offset) : 0;
    return true;
}

/* What reading a register does beside giving its value. */
static void note_read(struct dr_core *core, uint32_t reg, uint8_t value) {
    struct dr_uart *uart = &core->uart;
    if (has_latch(uart, reg))
        return;
    if (reg == DATA && uart->received_count) {
        uart->received_first = (uint8_t)((uart->received_first + 1) % FIFO_BYTES);
        uart->received_count--;
    }
    if (reg == FIFO && (value & ~ID_FIFO) == ID_SEND)
        uart->sent = false; /* whoever reads that the transmitter is empty takes that interrupt back */
    if (reg == LINE_STATUS && !uart->received_count) {
        if (uart->looked)
            dr_flush_uart(core); /* the guest waits for an answer, not for the transmitter */
        uart->looked = true;
    }
}

static bool read(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t *value) {
    (void)device, (void)size;
    *value = 0;
    if (offset >= REGISTERS)
        return true;
    if (!core->uart.received_count && has_input(core))
        fill(core);
    *value = look(&core->uart, offset);
    note_read(core, offset, (uint8_t)*value);
    if (offset == DATA || offset == FIFO)
        dr_update_uart(core); /* reading others changes no interrupt */
    return true;
}

static void control_fifo(struct dr_uart *uart, uint8_t value) {
    uart->fifo_on = value & FIFO_ON;
    if (value & FIFO_CLEAR_RECEIVED)
        uart->received_count = 0;
}

static void set(struct dr_core *core, uint32_t reg, uint8_t value) {
    struct dr_uart *uart = &core->uart;
    if (has_latch(uart, reg))
        uart->divisor[reg] = value;
    else if (reg == DATA)
        transmit(core, value);
    else if (reg == FIFO)
        control_fifo(uart, value);
    else if (reg == INTERRUPTS) {
        if (value & ~uart->registers[reg] & SEND_ENABLED)
            uart->sent = true;
        uart->registers[reg] = value & ENABLE_MASK;
    } else if (reg != LINE_STATUS && reg != MODEM_STATUS)
        uart->registers[reg] = value;
}

static bool write(struct dr_core *core, const struct dr_device *device, uint32_t offset, uint32_t size, uint32_t value) {
    (void)device, (void)size;
    if (offset < REGISTERS) {
        set(core, offset, (uint8_t)value);
        dr_update_uart(core);
    }
    return true;
}

int dr_uart_hears(const struct dr_core *core) {
    return !core->uart_line || core->uart.registers[INTERRUPTS] & RECEIVE_ENABLED;
}

int dr_add_uart(struct dr_core *core, uint32_t address, uint32_t source) {
    core->uart_line = source;
    return dr_add_device(core, (struct dr_device){.address = address, .size = SIZE, .read = read, .write = write, .peek = peek});
}

void dr_connect_uart(struct dr_core *core, void *handle, dr_uart_sender *sender, dr_uart_source *source) {
    core->uart_handle = handle;
    core->uart_sender = sender;
    core->uart_source = source;
    core->uart_ended = false;
}
