/* The bytes of guest pages at one moment: a radix tree that is never changed while others share it, so that trees of two
 * moments have all but the paths to the pages that differ in common. A page that is not in the tree is zero.
 */
#ifndef DR_PAGES_H
#define DR_PAGES_H

#include <stdbool.h>
#include <stdint.h>

struct dr_tree; /* NULL: no pages */

/* Trees are counted references; counting is safe from any thread. */
struct dr_tree *dr_tree_share(struct dr_tree *tree);
void dr_tree_drop(struct dr_tree *tree);

const uint8_t *dr_tree_page(const struct dr_tree *tree, uint32_t page); /* its bytes; NULL: zeros */

/* Replaces a page by a copy of `bytes`, or by zeros (NULL), in the caller's reference. false without memory. */
bool dr_tree_set(struct dr_tree **tree, uint32_t page, const uint8_t *bytes);

/* Calls `visit` for the pages that the trees do not share, in order, until it returns false; whether it never did. */
typedef bool dr_page_visitor(void *context, uint32_t page);
bool dr_tree_compare(const struct dr_tree *a, const struct dr_tree *b, dr_page_visitor *visit, void *context);

#endif
