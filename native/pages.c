#include "pages.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define FAN_BITS 5
#define FAN (1u << FAN_BITS)
#define LEVELS 4
_Static_assert(FAN_BITS * LEVELS + DR_PAGE_BITS == 32, "a path through the tree is a page's number");

/* What is counted begins with its count. Behind the nodes of the last level are pages. */
struct dr_tree {
    atomic_uint references;
    void *below[FAN];
};

struct image {
    atomic_uint references;
    uint8_t bytes[DR_PAGE];
};

static void *share(void *item) {
    if (item)
        atomic_fetch_add_explicit((atomic_uint *)item, 1, memory_order_relaxed);
    return item;
}

static void drop(void *item, unsigned level) {
    if (!item || atomic_fetch_sub_explicit((atomic_uint *)item, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; level && i < FAN; i++)
        drop(((struct dr_tree *)item)->below[i], level - 1);
    free(item);
}

struct dr_tree *dr_tree_share(struct dr_tree *tree) {
    return share(tree);
}

void dr_tree_drop(struct dr_tree *tree) {
    drop(tree, LEVELS);
}

static unsigned index_at(uint32_t page, unsigned level) {
    return page >> FAN_BITS * (level - 1) & (FAN - 1);
}

const uint8_t *dr_tree_page(const struct dr_tree *tree, uint32_t page) {
    const void *item = tree;
    for (unsigned level = LEVELS; item && level; level--)
        item = ((const struct dr_tree *)item)->below[index_at(page, level)];
    return item ? ((const struct image *)item)->bytes : NULL;
}

static struct image *make_image(const uint8_t *bytes) {
    struct image *image = malloc(sizeof *image);
    if (!image)
        return NULL;
    atomic_init(&image->references, 1);
    memcpy(image->bytes, bytes, DR_PAGE);
    return image;
}

/* The node at a place as one that nobody else shares; NULL without memory. */
static struct dr_tree *own(void **place, unsigned level) {
    struct dr_tree *old = *place;
    if (old && atomic_load_explicit(&old->references, memory_order_acquire) == 1)
        return old;
    struct dr_tree *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    atomic_init(&node->references, 1);
    for (unsigned i = 0; old && i < FAN; i++)
        node->below[i] = share(old->below[i]);
    drop(old, level);
    *place = node;
    return node;
}

bool dr_tree_set(struct dr_tree **tree, uint32_t page, const uint8_t *bytes) {
    if (!bytes && !dr_tree_page(*tree, page))
        return true;
    struct image *image = bytes ? make_image(bytes) : NULL;
    void *root = *tree, **place = &root;
    bool good = image || !bytes;
    for (unsigned level = LEVELS; good && level; level--) {
        struct dr_tree *node = own(place, level);
        good = node != NULL;
        if (good)
            place = &node->below[index_at(page, level)];
    }
    if (good) {
        drop(*place, 0);
        *place = image;
    } else {
        free(image);
    }
    *tree = root;
    return good;
}

static bool compare(const void *a, const void *b, unsigned level, uint32_t first, dr_page_visitor *visit, void *context) {
    if (a == b)
        return true;
    if (!level)
        return visit(context, first);
    for (uint32_t i = 0; i < FAN; i++) {
        const void *below_a = a ? ((const struct dr_tree *)a)->below[i] : NULL;
        const void *below_b = b ? ((const struct dr_tree *)b)->below[i] : NULL;
        if (!compare(below_a, below_b, level - 1, first + (i << FAN_BITS * (level - 1)), visit, context))
            return false;
    }
    return true;
}

bool dr_tree_compare(const struct dr_tree *a, const struct dr_tree *b, dr_page_visitor *visit, void *context) {
    return compare(a, b, LEVELS, 0, visit, context);
}
