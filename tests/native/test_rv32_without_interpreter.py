"""RV32 as if the core had been built without it: tests of what guests see, again, on the translator alone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dynarec import loading
from dynarec.core import Tier
from dynarec.engine import Machine
from tests.native import test_core as core
from tests.native import test_devices as devices
from tests.native import test_hooks as hooks
from tests.native import test_requests as requests
from tests.native import test_self_modifying as self_modifying

host_page = self_modifying.host_page
tier = hooks.tier
policy = hooks.policy
test_every_budget_stops_exactly_there = core.test_every_budget_stops_exactly_there
test_until_stops_before_the_address = core.test_until_stops_before_the_address
test_a_refusal_is_an_access_fault = devices.test_a_refusal_is_an_access_fault
test_a_site_that_reaches_memory_again_gets_its_access_back = (
    devices.test_a_site_that_reaches_memory_again_gets_its_access_back
)
test_a_site_that_the_guest_rewrites_is_read_anew = devices.test_a_site_that_the_guest_rewrites_is_read_anew
test_an_exception_comes_out_unchanged_and_the_access_is_done_again = (
    devices.test_an_exception_comes_out_unchanged_and_the_access_is_done_again
)
test_atomic_accesses_are_for_memory = devices.test_atomic_accesses_are_for_memory
test_loops_over_devices_and_memory_are_the_same_in_every_tier = (
    devices.test_loops_over_devices_and_memory_are_the_same_in_every_tier
)
test_only_whole_accesses_reach_a_device = devices.test_only_whole_accesses_reach_a_device
test_what_a_device_writes_to_code_is_what_runs_next = devices.test_what_a_device_writes_to_code_is_what_runs_next
test_a_conditional_store_writes_if_it_succeeds = hooks.test_a_conditional_store_writes_if_it_succeeds
test_accesses_to_devices = hooks.test_accesses_to_devices
test_an_access_across_two_pages = hooks.test_an_access_across_two_pages
test_atomics_read_and_then_write = hooks.test_atomics_read_and_then_write
test_random_hooks_see_the_same_in_every_tier = hooks.test_random_hooks_see_the_same_in_every_tier
test_stores_that_the_machine_watches_can_be_hooked = hooks.test_stores_that_the_machine_watches_can_be_hooked
test_what_the_guest_may_not_do_is_not_reported = hooks.test_what_the_guest_may_not_do_is_not_reported
test_where_nothing_can_be_fetched = hooks.test_where_nothing_can_be_fetched
test_a_budget_stays_exact_under_requests = requests.test_a_budget_stays_exact_under_requests
test_data_in_the_host_page_of_code = self_modifying.test_data_in_the_host_page_of_code
test_memory_that_is_code_and_data_alike = self_modifying.test_memory_that_is_code_and_data_alike
test_random_programs_that_overwrite_themselves = self_modifying.test_random_programs_that_overwrite_themselves
test_writes_from_outside = self_modifying.test_writes_from_outside

ROMS = Path(__file__).parents[2] / "roms"


@pytest.fixture(autouse=True)
def without_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "has_interpreter", lambda name: False)


@pytest.mark.parametrize("name", ["crc32", "json", "queens", "sieve", "vm"])
def test_whole_programs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = []
    for built in (True, False):
        monkeypatch.setattr(loading, "has_interpreter", lambda name, built=built: built)
        out = io.BytesIO()
        with Machine.load(ROMS / "bench" / f"{name}.elf", args=["1"], stdout=out) as machine:
            assert (machine.core.tier is Tier.AUTO) == built
            outputs.append((machine.run(), out.getvalue(), machine.instructions))
    assert outputs[0] == outputs[1]
