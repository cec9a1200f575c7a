"""The worker is killed at every system call of a delivery: at most a file in tmp/ is left, and another goes on."""

import collections
import itertools

import pytest

from testsite import wait_until
from testsite.injection import NOT_KNOWN, STORED
from testsite.transaction import SCENARIOS, Transactions, about, of_delivery

# Of their own: master starts a worker the later, the more often it died.
UIDS = itertools.count(2100)


@pytest.fixture(scope="module")
def make(daemon, site, readable_mail_base, postgres):
    return lambda scenario: Transactions(daemon, site, readable_mail_base, postgres, scenario.as_uid(next(UIDS)))


def until_the_outcome_leaves(one):
    """(call, its place among those of its name in its thread) for each."""
    # Whether the loop comes to wait before its threads are done is chance.
    calls = [call for call in of_delivery(one.healthy()) if call.name != "poll"]
    left = max(call.started for call in calls if call.name == "sendmsg")
    places = collections.Counter()
    for call in calls:
        if call.started <= left:
            places[call.pid, call.name] += 1
            yield call, places[call.pid, call.name]


@pytest.fixture(scope="module")
def deaths(make):
    """{scenario: {(name of a call, place)}}. Of messages that are alone only what no earlier scenario has."""
    found = {name: {} for name in SCENARIOS}
    known = collections.Counter()
    for name, scenario in SCENARIOS.items():
        one = make(scenario)
        kinds = collections.Counter()
        for call, place in until_the_outcome_leaves(one):
            kinds[about(call)] += 1
            # Of the loop, how often it looks for what its threads have done is chance as well.
            if scenario.threads and call.pid == one.worker() and place > 1:
                continue
            if len(scenario.users) > 1 or kinds[about(call)] > known[about(call)]:
                found[name][call.name, place] = None
        if len(scenario.users) == 1:
            known |= kinds
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_worker_is_killed(name, deaths, make):
    scenario = SCENARIOS[name]
    for call, place in deaths[name]:
        one = make(scenario)
        worker = one.worker()
        replies, _ = one.run(f"{call}:signal=KILL:when={place}", call)
        case = f"{call} {place}: {replies}"
        # Of two threads the other may have had its outcome sent.
        assert list(replies.values()).count(NOT_KNOWN) >= (1 if scenario.threads else len(replies)), case
        for recipient, reply in replies.items():
            assert reply in (NOT_KNOWN, STORED), case
            arrived = one.arrived(recipient)
            assert arrived == 1 if reply == STORED else arrived <= 1, case
            left = one.in_tmp(recipient)
            assert len(left) <= 1, case
            for file in left:
                file.unlink()
        wait_until(one.goes_on, f"a delivery after the death at {case}")
        assert one.worker() != worker, case
