/*
 * ledger: keeps accounts, and damages one of them. It is for the debugger: built with debugging information, and with a
 * mistake that shows long after it was made.
 */
#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNTS = 4, NAME_ROOM = 8, PAYMENTS = 200000 };

struct account {
    char name[NAME_ROOM];
    int balance;
    int payments;
};

static struct account accounts[ACCOUNTS];

__attribute__((noinline)) static void rename_account(struct account *account, const char *name)
{
    char *to = account->name;
    do
        *to++ = *name; /* the mistake: a name may be longer than its room */
    while (*name++);
}

static void pay(struct account *from, struct account *to, int amount)
{
    from->balance -= amount;
    to->balance += amount;
    from->payments++;
}

static int total(void)
{
    int sum = 0;
    for (int i = 0; i < ACCOUNTS; i++)
        sum += accounts[i].balance;
    return sum;
}

__attribute__((noinline)) static void complain(int sum)
{
    printf("the accounts hold %d, and should hold %d\n", sum, 1000 * ACCOUNTS);
    exit(1);
}

int main(void)
{
    static const char *const names[] = {"Ada", "Grace", "Alan", "Konrad", "Katherine"};
    for (int i = 0; i < ACCOUNTS; i++) {
        rename_account(&accounts[i], names[i]);
        accounts[i].balance = 1000;
    }
    for (int i = 0; i < PAYMENTS; i++) {
        pay(&accounts[i % ACCOUNTS], &accounts[(i * 7 + 1) % ACCOUNTS], i % 10);
        if (i == PAYMENTS / 3)
            rename_account(&accounts[2], names[4]);
    }
    if (total() != 1000 * ACCOUNTS)
        complain(total());
    puts("the accounts are right");
    return 0;
}
