"""What it costs to write to the code region, by W^X policy."""

from __future__ import annotations

from dynarec.core import install_nanoseconds, policies

BATCHES = 2000
ROUNDS = 5


def install_costs() -> dict[str, int]:
    """Nanoseconds for a batch with one small unit, verified, written and flushed: the least of some rounds, which take
    turns. Policies that do not work here are left out.
    """
    costs: dict[str, int] = {}
    for policy in policies() * ROUNDS:
        cost = install_nanoseconds(policy, BATCHES)
        if cost is not None:
            costs[policy] = min(cost, costs.get(policy, cost))
    return costs


def installs_text(costs: dict[str, int]) -> str:
    each = ", ".join(f"{policy} {nanoseconds / 1000:.2f}" for policy, nanoseconds in costs.items())
    return f"microseconds to install a batch of one small unit, by policy: {each or 'none works here'}"
