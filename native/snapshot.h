/* Snapshots of guest memory, and what makes them cheap: which pages were written since the last one.
 *
 * `dr_memory.image` is what every page was at the last snapshot or restore. Since then, host pages are closed to stores; the
 * first store to one faults, or comes from the host, and makes its guest pages DR_DIRTY, and a host page that is dirty is open
 * again. So a page that is not dirty is what it is in the image. Where too many pages are written, or the host has no room for so many
 * ranges of different protection, nothing is noticed any more, and the next snapshot looks at every page.
 *
 * A page without permissions that nobody owns is zero.
 */
#ifndef DR_SNAPSHOT_H
#define DR_SNAPSHOT_H

#include "memory.h"

/* Before a store to a range. NULL, or why it cannot be made. */
const char *dr_tracking_note_store(struct dr_memory *memory, uint64_t address, uint64_t size);

/* Before a range is zeroed. */
void dr_tracking_note_clear(struct dr_memory *memory, uint64_t address, uint64_t size);

/* From now on stores go unnoticed, and protection is that of few, long ranges. NULL, or why that cannot be. */
const char *dr_tracking_stop(struct dr_memory *memory);

/* The guest's permissions have changed. */
void dr_tracking_note_map(struct dr_memory *memory);

void dr_tracking_free(struct dr_memory *memory);

#endif
