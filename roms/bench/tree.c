/* tree: pointer chasing. A binary search tree by rotation at the root (a treap) and a shuffled linked list in one pool. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 530, NODES = 1000, LOOKUPS = 2000 };

struct Node {
    struct Node *left, *right, *next;
    uint32_t key, priority;
};

static struct Node pool[NODES];

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed ^ *seed >> 16;
}

/* Parts of tree with keys below, and not below, the given key. */
static void split(struct Node *tree, uint32_t key, struct Node **below, struct Node **above)
{
    while (tree != NULL) {
        if (tree->key < key) {
            *below = tree;
            below = &tree->right;
            tree = tree->right;
        } else {
            *above = tree;
            above = &tree->left;
            tree = tree->left;
        }
    }
    *below = *above = NULL;
}

static void insert(struct Node **root, struct Node *node)
{
    while (*root != NULL && (*root)->priority >= node->priority)
        root = node->key < (*root)->key ? &(*root)->left : &(*root)->right;
    split(*root, node->key, &node->left, &node->right);
    *root = node;
}

static uint32_t depth_of(const struct Node *tree, uint32_t key)
{
    uint32_t depth = 0;
    while (tree != NULL && tree->key != key) {
        tree = key < tree->key ? tree->left : tree->right;
        depth++;
    }
    return depth;
}

static struct Node *build(uint32_t *seed, struct Node **list)
{
    struct Node *root = NULL;
    *list = NULL;
    for (uint32_t i = 0; i < NODES; i++) {
        struct Node *node = &pool[i * 7 % NODES];
        *node = (struct Node){.next = *list, .key = next_random(seed) % 4096, .priority = next_random(seed)};
        *list = node;
        insert(&root, node);
    }
    return root;
}

static uint32_t walk(const struct Node *tree, uint32_t sum)
{
    if (tree == NULL)
        return sum;
    sum = walk(tree->left, sum);
    return walk(tree->right, sum * 17 + tree->key);
}

static uint32_t work(uint32_t seed)
{
    struct Node *list, *root = build(&seed, &list);
    uint32_t sum = walk(root, 0);
    for (uint32_t i = 0; i < LOOKUPS; i++)
        sum += depth_of(root, next_random(&seed) % 4096);
    for (const struct Node *node = list; node != NULL; node = node->next)
        sum = sum * 5 + node->key;
    return sum;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + work(round + sum);
    printf("tree %08" PRIx32 "\n", sum);
    return 0;
}
