"""Which power cuts are looked at: moments of the recording, and what each leaves on the disks.

A moment is a tuple, for each disk the number of its entries, that was true at one time. For each:
every write that was sent is there (a prefix of the log); and for each state of the flushes, at its last
moment: nothing that was not flushed is there, and random subsets of it.
"""

from typing import NamedTuple

from .write_log import torn


class Cut(NamedTuple):
    kind: str      # "prefix", "flushed" or "subset"
    moment: tuple  # what was acknowledged by then is due
    flushed: tuple
    unflushed: tuple  # for each disk the entries, or parts of entries, that the cut left as well


def plan(disks, moments, random, wanted=0, subsets=0, prefixes=None):
    """Cuts in the order of their flushes, no image twice: all cuts to the last flush, all prefixes, or `prefixes` of
    them, and `subsets` random subsets, or more until there are `wanted` images, or no more to be found."""
    states = _by_flushes(disks, moments)
    drawn = _draw_prefixes(disks, states, random, prefixes)
    cuts = []
    for flushed, same in states:
        cuts.append([Cut("flushed", same[-1], flushed, tuple(() for _ in disks))])
        cuts[-1] += [Cut("prefix", moment, flushed, _unflushed(disks, flushed, moment))
                     for moment in same if moment in drawn]
    seen = [{cut.unflushed for cut in group} for group in cuts]
    missing = max(subsets, wanted - sum(map(len, cuts)))
    fruitless = 0
    while missing > 0 and fruitless < 20:
        found = 0
        for (flushed, same), group, known in zip(states, cuts, seen):
            moment = random.choice(same)
            kept = tuple(tuple(torn(entries, random)) for entries in _unflushed(disks, flushed, moment))
            if kept not in known and missing > 0:
                known.add(kept)
                group.append(Cut("subset", moment, flushed, kept))
                found += 1
                missing -= 1
        fruitless = 0 if found else fruitless + 1
    return [cut for group in cuts for cut in group]


def _draw_prefixes(disks, states, random, most):
    """The moments at which something was not flushed, or `most` of them."""
    moments = [moment for flushed, same in states for moment in same if any(_unflushed(disks, flushed, moment))]
    return set(moments if most is None else random.sample(moments, min(most, len(moments))))


def _by_flushes(disks, moments):
    """[(entries that are durable on each disk, the moments at which that was so)]. Flushes with nothing written
    between them are one."""
    states = []
    for moment in moments:
        flushed = tuple(disk.last_flush(count) for disk, count in zip(disks, moment))
        same = []
        if states and not _is_written_between(disks, states[-1][0], flushed):
            _, same = states.pop()
        states.append((flushed, same))
        same.append(moment)
    return states


def _is_written_between(disks, first, second):
    return any(entry.length for disk, begin, end in zip(disks, first, second) for entry in disk.entries[begin:end])


def _unflushed(disks, flushed, moment):
    return tuple(tuple(entry for entry in disk.entries[first:count])
                 for disk, first, count in zip(disks, flushed, moment))
