/* Maps a region beside the one that it uses. */
#include "policy.h"
#include "apple/region.h"

static const char *map_twice(struct dr_region *region, size_t size) {
    const char *error = dr_map_jit(region, size);
    return error ? error : dr_map_jit(region, size);
}

#define dr_map_jit map_twice
#include "codemem_apple_toggle.c"
