"""The books of all checks or of all objectives: bad and total of every series, minute by minute and coarser.

A result is added to two plain arrays (the unfinished minute). At a minute's end `roll` books the minute of all
series at once; a coarser bucket is summed up from finer ones when it ends. `window` answers from the finest tier that
reaches far enough, `between` from hours with minutes at the edges. Nothing here knows the time: minutes are counted
since the epoch and told.

What was counted late, into a minute that is over, goes into the buckets of every tier and the sums over them, and is
given by `corrections` to be written once more.

Memory of a series whose every bucket was lived through, with n windows asked for: CHECK_TIERS 1,074 x 4 = 4,296
bytes, MONTH_TIERS 1,975 x 8 = 15,800, QUARTER_TIERS 27,696, YEAR_TIERS 80,496; to each 72 + 24 n, and the name.
Series are held in blocks of 32.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt

from homeostat.core.history.ring import (
    BAD,
    OBSERVED,
    TOTAL,
    Counted,
    Flags,
    Ring,
    RunningSum,
    Slots,
    Three,
    fuller,
    nothing,
)
from homeostat.core.history.series import Buckets, Table
from homeostat.core.history.window import HOUR, MINUTE, Bucket, Counts, Tier

BLOCK = 32
MOST_SUMS = 24
"""Windows, and beginnings of calendar windows, whose sums are kept up to date; any further is summed up when asked."""
MOST_MINUTES = 60
"""Minutes that a bucket may have, as a cell counts them."""
FORGET_AFTER = 3 * HOUR // MINUTE
"""Minutes after which a sum that nobody asked for is dropped."""

_ROUNDING = 1 + 3e-6
"""A longer bucket may have so much more than its parts, as all of them are rounded."""

Sums = dict[int, RunningSum]
_Run = tuple[int, int, int, float]
"""What makes up a window: the tier, its closed buckets from and up to, and the share of the one before."""


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """What is known of a period, of some series: arrays side by side. Iterates as buckets.

    `counted` is float64 of shape (3, series): rows BAD, TOTAL, OBSERVED of `ring`.
    """

    start: int
    seconds: int
    series: tuple[str, ...]
    counted: Counted

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Bucket]:
        for name, bad, total, observed in zip(self.series, *self.counted.tolist(), strict=True):
            yield Bucket(name, self.start, self.seconds, total - bad, total, int(observed))


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """What a ledger knew of a series that left it: closed buckets by tier, and all that is not closed or not told."""

    closed: list[tuple[range, Counted]]
    unfinished: tuple[float, float, float, int]
    late: list[tuple[int, int]]
    opened: int | None
    is_silent: bool


class Ledger:
    """Counts of many series over time. Not thread-safe; holds no clock.

    A window of n minutes is the unfinished minute and the n - 1 before it. It is exact where its edge is the
    edge of a bucket of its tier, which for the first tier is always; elsewhere the oldest bucket counts with
    the share of it that is inside the window.
    """

    def __init__(self, tiers: Sequence[Tier]) -> None:
        _require_nested(tiers)
        self.tiers = tuple(tiers)
        self._rings = [Ring(tier) for tier in tiers]
        self._minute = -1
        self._slots: dict[str, int] = {}
        self._names: list[str] = []
        self._free: list[int] = []
        self._bad, self._total = array("d"), array("d")
        self._observed = bytearray()  # of the unfinished minute: 1 where somebody looked, and maybe nothing was there
        self._told = array("d")  # totals of the unfinished minute as `unfinished` gave them
        self._sums: Sums = {}  # by the seconds of the window
        self._growing: Sums = {}  # by the first bucket of the last tier
        self._begun = [RunningSum(ring) for ring in self._rings[:-1]]  # of what the unfinished longer bucket is made of
        self._runs: dict[int, _Run] = {}  # by the seconds of the window, of this minute
        self._late: set[tuple[int, int, int]] = set()  # ring, bucket, slot
        self._silent: set[int] = set()
        self._looked_up: tuple[tuple[str, ...], Slots] | None = None
        self._opened: dict[int, int] = {}  # by slot the minute, while nothing was told of it

    @property
    def minute(self) -> int:
        """The unfinished minute, since the epoch; -1 before it was told."""
        return self._minute

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the open series."""
        return tuple(self._slots)

    @property
    def reach(self) -> int:
        """The longest window (s) that there is an answer for."""
        return self._rings[-1].tier.reach

    @property
    def width(self) -> int:
        """How many slots arrays over all series have; some may be nobody's."""
        return -(-len(self._names) // BLOCK) * BLOCK

    def open(self, series: str, *, is_silent: bool = False) -> int:
        """Give the slot of a series, a new and empty one if it has none.

        Nothing of a silent one is given to be written until `sum_up`: history may know more of the same minutes.
        """
        if series in self._slots:
            return self._slots[series]
        if self._free:
            slot = self._free.pop()
            self._names[slot] = series
        else:
            slot = len(self._names)
            self._names.append(series)
            for counts in (self._bad, self._total, self._told):
                counts.append(0.0)
            self._observed.append(0)
        self._slots[series] = slot
        self._looked_up = None
        self._opened[slot] = self._minute
        if is_silent:
            self._silent.add(slot)
        return slot

    def close(self, slot: int) -> None:
        """Forget a series and all its counts; the slot may be given to another. Closing twice is closing once."""
        if self._slots.get(self._names[slot]) != slot:
            return
        del self._slots[self._names[slot]]
        self._looked_up = None
        self._names[slot] = ""
        self._free.append(slot)
        self._bad[slot] = self._total[slot] = self._told[slot] = self._observed[slot] = 0
        self._silent.discard(slot)
        self._opened.pop(slot, None)
        self._late = {late for late in self._late if late[2] != slot}
        for ring in self._rings:
            ring.clear(slot)
        for running in self._all_sums():
            running.clear(slot)

    # --- counting ---------------------------------------------------------------------------------------

    def add(self, slot: int, bad: float, total: float) -> None:
        """Count in the unfinished minute: `bad` of `total`. The hot path."""
        if bad:
            self._bad[slot] += bad
        self._total[slot] += total

    def add_at(self, slot: int, minute: int, bad: float, total: float) -> bool:
        """Count in a minute, as if in time; False if it is in the future, or older than minutes reach.

        0 of 0 says that the minute was observed, and that nothing happened in it (S5).
        """
        if minute == self._minute:
            self.add(slot, bad, total)
            self._observed[slot] = 1
            return True
        if not self._holds(0, minute):
            return False
        news = 0.0 if self._rings[0].one(slot, minute)[OBSERVED] else 1.0
        for place, ring in enumerate(self._rings):
            number = ring.bucket_of(minute)
            if number == ring.bucket_of(self._minute):
                break  # and so are all longer ones not over
            had_bad, had, observed = ring.one(slot, number)
            minutes = min(observed + news, ring.tier.seconds // MINUTE)
            self._replace(place, number, slot, had_bad + bad, had + total, minutes)
        return True

    def put(self, slot: int, bucket: Bucket) -> bool:
        """Take a bucket for what happened in it if it is fuller than what is known; longer ones then have as much.

        It must be of the length of a tier, and over (a minute may be the unfinished one); False if it is not, or is
        out of reach.
        """
        place = next((at for at, tier in enumerate(self.tiers) if tier.seconds == bucket.seconds), -1)
        if place < 0 or bucket.start % bucket.seconds:
            return False
        if place == 0 and bucket.start // MINUTE == self._minute:
            if bucket.total >= self._total[slot]:
                self._bad[slot], self._total[slot], self._observed[slot] = bucket.bad, bucket.total, 1
            return True
        number = bucket.start // bucket.seconds
        if not self._holds(place, number):
            return False
        new = np.array([[bucket.bad], [bucket.total], [bucket.observed]], dtype=np.float64)
        self._raise_to(place, number, np.array([slot]), _observing(new, bucket.seconds))
        self._raise_longer(place, number, np.array([slot]))
        return True

    def replace_at(self, slot: int, minute: int, bad: float, total: float, seconds: int) -> bool:
        """Let a minute hold these counts, whatever it held, as the only one with data of `seconds`.

        Beyond the reach of minutes a longer bucket stands for it, if `seconds` are a whole number of such; False if
        not, if no tier reaches it, or if it is in the future.
        """
        if minute == self._minute:
            self._bad[slot], self._total[slot], self._observed[slot] = bad, total, 1
            return True
        if self._holds(0, minute):
            had_bad, had, observed = self._rings[0].one(slot, minute)
            if (had_bad, had) != (bad, total) or not observed:
                self.add_at(slot, minute, bad - had_bad, total - had)
            return True
        for place, ring in enumerate(self._rings):
            number = ring.bucket_of(minute)
            if self._holds(place, number) and not seconds % ring.tier.seconds:
                self._replace(place, number, slot, bad, total, 1.0)
                self._raise_longer(place, number, np.array([slot]))
                return True
        return False

    def roll(self, minute: int) -> tuple[Closed, ...]:
        """Go on to `minute`, and give what closed: a minute, and the coarser buckets that ended with it.

        Skipped minutes have no data. On a clock that went back nothing happens: results go on counting in the
        newest minute until time has caught up. At a graceful stop `roll(ledger.minute + 1)` gives what is left.
        """
        if minute <= self._minute:
            return ()
        booked, self._minute = self._minute, minute
        self._runs = {}
        if booked < 0:
            self._opened = dict.fromkeys(self._opened, minute)
            return ()
        closed = [(place, ring.bucket_of(booked)) for place, ring in enumerate(self._rings)]
        closed = [(place, number) for place, number in closed if self._rings[place].bucket_of(minute) > number]
        self._book(booked)
        everyone = np.arange(self.width)
        for place, number in closed[1:]:
            self._raise_to(place, number, everyone, self._parts(place, number, everyone), is_news=False)
        if len(closed) == len(self._rings):
            self._drop_sums()
        self._opened = {slot: opened for slot, opened in self._opened.items() if slot in self._silent}
        records = (self._closed(place, number) for place, number in closed)
        return tuple(record for record in records if record.series)

    def unfinished(self) -> tuple[Closed, ...]:
        """Give the unfinished minute as far as it has come, of the series that counted since this was last asked."""
        if self._minute < 0:
            return ()
        count = len(self._names)
        total = np.array(self._total)
        changed = total != np.array(self._told)
        changed[list(self._silent)] = False
        if not changed.any():
            return ()
        slots = np.flatnonzero(changed)
        self._told = array("d", total.tobytes())
        counted = np.zeros((3, count))
        counted[BAD], counted[TOTAL], counted[OBSERVED] = self._bad, total, total > 0
        self._opened = {slot: opened for slot, opened in self._opened.items() if slot in self._silent}
        return (Closed(self._minute * MINUTE, MINUTE, self._names_of(slots), counted[:, slots]),)

    def corrections(self) -> tuple[Closed, ...]:
        """Give the buckets that changed after they were over, once."""
        told = sorted(late for late in self._late if late[2] not in self._silent)
        self._late.difference_update(told)
        found: list[Closed] = []
        for (place, number), late in groupby(told, key=lambda one: one[:2]):
            slots = np.array([slot for _, _, slot in late])
            ring = self._rings[place]
            if not ring.is_overwritten(number):
                start, seconds = number * ring.tier.seconds, ring.tier.seconds
                found.append(Closed(start, seconds, self._names_of(slots), ring.at(number, slots)))
        return tuple(found)

    # --- history ----------------------------------------------------------------------------------------

    def load(self, period: Closed) -> None:
        """Take up one period of history, of the series that are open; what is out of reach is left out.

        First `roll` to where history ends; then load each period once, in any order; then `sum_up`. Counts that are
        there stay if they are fuller. Those of the minute in which a series was opened add up, if nothing was told of
        it since: its earlier part is of another life.
        """
        place = next((at for at, tier in enumerate(self.tiers) if tier.seconds == period.seconds), None)
        if place is None or period.start < 0 or period.start % period.seconds:
            return
        slots = self._slots_of(period.series)
        known = (slots >= 0) & _is_sound(period.counted)
        if known.all():
            counted = _observing(period.counted, period.seconds)
        else:
            slots, counted = slots[known], _observing(period.counted[:, known], period.seconds)
        number = period.start // period.seconds
        if place == 0 and number in self._opened.values():
            is_divided = np.array([self._opened.get(slot) == number for slot in slots.tolist()], dtype=bool)
            for slot, (bad, total, _) in zip(slots[is_divided].tolist(), counted.T[is_divided].tolist(), strict=True):
                self.add_at(slot, number, bad, total)
            slots, counted = slots[~is_divided], counted[:, ~is_divided]
        if self._holds(place, number) and len(slots):
            self._raise_to(place, number, slots, counted, is_news=False)

    def _slots_of(self, series: tuple[str, ...]) -> Slots:
        """Give the slots of series, -1 for those that are not open; periods of history mostly name the same."""
        if self._looked_up is None or self._looked_up[0] is not series:
            found = np.array([self._slots.get(name, -1) for name in series], dtype=np.int64)
            self._looked_up = series, found
        return self._looked_up[1]

    def sum_up(self, series: Iterable[str] | None = None) -> tuple[Closed, ...]:
        """Sum coarse buckets that history lacks up from finer ones; give them, to be written.

        `series`: those whose history was loaded, if not all. From here on they are not silent.
        """
        chosen = self._slots if series is None else [name for name in series if name in self._slots]
        slots = np.array(sorted(self._slots[name] for name in chosen), dtype=np.int64)
        if not len(slots):
            return ()
        for place, (fine, coarse) in enumerate(pairwise(self._rings), 1):
            newest, parts = coarse.bucket_of(self._minute), coarse.tier.seconds // fine.tier.seconds
            oldest = max((fine.bucket_of(self._minute) - fine.tier.count + 1) // parts, newest - coarse.tier.count + 1)
            for number in range(max(oldest, 0), newest):
                self._raise_to(place, number, slots, self._parts(place, number, slots))
        for slot in self._silent.intersection(slots.tolist()):
            self._speak(slot)
        return self.corrections()

    def move(self, series: str, other: "Ledger") -> int:
        """Take a series over from a ledger that is at the same minute, with all that it knows; give its slot."""
        left = other.leave(series)
        slot = self.open(series, is_silent=left.is_silent)
        for place, (numbers, counted) in enumerate(left.closed):
            for at in np.flatnonzero(counted[OBSERVED]).tolist():
                if self._holds(place, numbers[at]):
                    self._put_at(place, numbers[at], np.array([slot]), counted[:, at : at + 1])
        self._bad[slot], self._total[slot], self._told[slot], self._observed[slot] = left.unfinished
        self._late |= {(place, number, slot) for place, number in left.late}
        if left.opened is None:
            del self._opened[slot]
        else:
            self._opened[slot] = left.opened
        return slot

    def leave(self, series: str) -> "Left":
        """Give all that is known of a series, and forget it."""
        slot = self._slots[series]
        closed: list[tuple[range, Counted]] = []
        for ring in self._rings:
            newest = ring.bucket_of(self._minute)
            numbers = range(newest - ring.tier.count + 1, newest)
            closed.append((numbers, ring.of(slot, numbers)))
        left = Left(
            closed=closed,
            unfinished=(self._bad[slot], self._total[slot], self._told[slot], self._observed[slot]),
            late=[(place, number) for place, number, one in self._late if one == slot],
            opened=self._opened.get(slot),
            is_silent=slot in self._silent,
        )
        self.close(slot)
        return left

    # --- asking -----------------------------------------------------------------------------------------

    def window(self, slot: int, seconds: int) -> Counts:
        """Count the last `seconds` of a series, the unfinished minute included. Beyond all tiers: what there is."""
        place, first, last, share = self._run(seconds)
        ring = self._rings[place]
        running = self._running(self._sums, seconds, ring)
        if running is None:
            bad, total, observed = ring.of(slot, range(first, last)).sum(axis=1).tolist()
        else:
            bad, total, observed = running.of(slot, first, last, self.width)
        more_bad, more, minutes = self._unfinished_of(slot, place)
        bad, total, observed = bad + more_bad, total + more, observed + minutes
        if share:
            more_bad, more, minutes = ring.one(slot, first - 1)
            bad, total, observed = bad + share * more_bad, total + share * more, observed + share * minutes
        return _counts(bad, total, observed, seconds)

    def windows(self, wanted: Iterable[int]) -> dict[int, Counted]:
        """Count the last seconds of all series at once, by slot, for each of the windows `wanted`."""
        unfinished = self._unfinished_of_all()
        found: dict[int, Counted] = {}
        for seconds in wanted:
            place, first, last, share = self._run(seconds)
            ring, width = self._rings[place], self.width
            running = self._running(self._sums, seconds, ring) or RunningSum(ring)
            found[seconds] = running.over(first, last, width) + unfinished[place]
            if share:
                found[seconds] += share * ring.counted(first - 1, width)
        return found

    def between(self, slot: int, since: int, until: int) -> Counts:
        """Count from `since` up to, without, `until` (epoch s, whole minutes); what is in the future has no data.

        A bucket at an edge counts with the share of it that is inside, the shortest there are.
        """
        place, ring = len(self._rings) - 1, self._rings[-1]
        size, newest = ring.tier.seconds, ring.bucket_of(self._minute)
        oldest = newest - ring.tier.count + 1
        begin, end = max(since, oldest * size), min(until, (self._minute + 1) * MINUTE)
        first, last = -(-begin // size), min(end // size, newest)
        if first > last:
            return _counts_of(self._part(place, slot, begin, end), until - since)
        counted = self._part(place, slot, begin, first * size) + self._part(place, slot, last * size, end)
        is_growing = last == newest and begin == since
        running = self._running(self._growing, first, ring) if is_growing else None
        if running is None:
            counted += ring.of(slot, range(first, last)).sum(axis=1)
        else:
            counted += running.over(first, last, self.width)[:, slot]
        return _counts_of(counted, until - since)

    def buckets(self, slot: int, since: int, until: int) -> Buckets:
        """Give the buckets with data that lie in a range, oldest first, the shortest there are; none overlap.

        A longer one is given where the shorter ones in it know less. The unfinished minute is one too.
        """
        start = self._minute * MINUTE
        found = self._buckets(slot, since, min(until, start))
        bad, total, observed = self._unfinished_of(slot, 0)
        if since <= start and start + MINUTE <= until and observed:
            found = np.concatenate((found, np.array([[start, MINUTE, bad, total, 1.0]]).T), axis=1)
        return Buckets(found, self._names[slot])

    def periods(self, slot: int, seconds: int, count: int) -> tuple[tuple[float, float], ...]:
        """Give good and total of the newest `count` buckets of `seconds`, oldest first; the last is unfinished.

        There must be a tier of such buckets, which holds as many.
        """
        place = next(at for at, tier in enumerate(self.tiers) if tier.seconds == seconds)
        ring = self._rings[place]
        newest = ring.bucket_of(self._minute)
        counted = ring.of(slot, range(newest - count + 1, newest + 1))
        counted[:, -1] = self._unfinished_of(slot, place)
        return tuple((total - bad, total) for bad, total, _ in counted.T.tolist())

    def newest(self, slot: int) -> int | None:
        """Give up to when (epoch s) a series has events: the end of a bucket, or the start of the unfinished minute."""
        if self._total[slot] > 0:
            return self._minute * MINUTE
        for ring in self._rings:
            last = ring.bucket_of(self._minute)
            first = last - ring.tier.count + 1
            found = np.flatnonzero(ring.of(slot, range(first, last))[TOTAL])
            if len(found):
                return int(first + found[-1] + 1) * ring.tier.seconds
        return None

    # --- how --------------------------------------------------------------------------------------------

    def _run(self, seconds: int) -> _Run:
        """Give what makes up a window; worked out once a minute."""
        run = self._runs.get(seconds)
        if run is None:
            run = self._runs[seconds] = self._run_of(seconds)
        return run

    def _run_of(self, seconds: int) -> _Run:
        place = next((at for at, tier in enumerate(self.tiers) if tier.reach >= seconds), len(self.tiers) - 1)
        tier = self.tiers[place]
        edge = (self._minute + 1) * MINUTE - min(max(seconds, MINUTE), tier.reach)
        first = -(-edge // tier.seconds)
        return place, first, self._rings[place].bucket_of(self._minute), first - edge / tier.seconds

    def _unfinished_of(self, slot: int, place: int) -> Three:
        """Sum up the unfinished bucket of a tier, for one series."""
        bad, total = self._bad[slot], self._total[slot]
        observed = 1.0 if total or self._observed[slot] else 0.0
        for begun, first, last in self._open_parts(place):
            if first < last:
                more_bad, more, minutes = begun.of(slot, first, last, self.width)
                bad, total, observed = bad + more_bad, total + more, observed + minutes
        return bad, total, observed

    def _unfinished_of_all(self) -> list[Counted]:
        """Sum up the unfinished bucket of each tier, for all series."""
        found = [self._pending()]
        for begun, first, last in self._open_parts(len(self._rings) - 1):
            found.append(found[-1] + begun.over(first, last, self.width))
        return found

    def _pending(self) -> Counted:
        count = len(self._names)
        counted = nothing(self.width)
        counted[BAD, :count] = self._bad
        counted[TOTAL, :count] = self._total
        counted[OBSERVED, :count] = (counted[TOTAL, :count] > 0) | np.array(self._observed, dtype=np.bool_)
        return counted

    def _open_parts(self, place: int) -> Iterator[tuple[RunningSum, int, int]]:
        """Give the sums over closed buckets of shorter tiers that make up the unfinished bucket of a tier."""
        for begun, coarse in zip(self._begun[:place], self._rings[1:], strict=False):
            fine = begun.ring
            start = coarse.bucket_of(self._minute) * coarse.tier.seconds
            yield begun, start // fine.tier.seconds, fine.bucket_of(self._minute)

    def _part(self, place: int, slot: int, since: int, until: int) -> npt.NDArray[np.float64]:
        """Count a stretch within one bucket of a tier: from shorter ones as far back as they reach, if they know all.

        What they do not reach of the bucket has the rest of it, evenly: so parts of a bucket sum up to the whole.
        """
        if since >= until:
            return np.zeros(3)
        ring = self._rings[place]
        size = ring.tier.seconds
        number = since // size
        if number == ring.bucket_of(self._minute):
            if since == number * size and until >= (self._minute + 1) * MINUTE:
                return np.array(self._unfinished_of(slot, place))
            return self._stretch(place - 1, slot, since, until) if place else np.array(self._unfinished_of(slot, 0))
        whole, start = ring.of(slot, (number,))[:, 0], number * size
        if place == 0:
            return self._share(whole, until - since, size)
        fine = self._rings[place - 1]
        parts = fine.tier.seconds
        reach = max(start, (fine.bucket_of(self._minute) - fine.tier.count + 1) * parts)
        if reach >= start + size:
            return self._share(whole, until - since, size)
        known = fine.of(slot, range(reach // parts, (start + size) // parts)).sum(axis=1)
        if reach > start:
            before = self._share(np.maximum(whole - known, 0), max(0, min(until, reach) - since), reach - start)
            return before + self._stretch(place - 1, slot, max(since, reach), until)
        if whole[TOTAL] > known[TOTAL] * _ROUNDING:
            return self._share(whole, until - since, size)
        return self._stretch(place - 1, slot, since, until)

    @staticmethod
    def _share(counted: npt.NDArray[np.float64], part: int, whole: int) -> npt.NDArray[np.float64]:
        share: npt.NDArray[np.float64] = part / whole * counted
        return share

    def _stretch(self, place: int, slot: int, since: int, until: int) -> npt.NDArray[np.float64]:
        """Count a stretch from the buckets of a tier, and from shorter ones at its edges."""
        ring = self._rings[place]
        size = ring.tier.seconds
        if since >= until:
            return np.zeros(3)
        first, last = -(-since // size), min(until // size, ring.bucket_of(self._minute))
        if first > last:
            return self._part(place, slot, since, until)
        counted = self._part(place, slot, since, first * size) + self._part(place, slot, last * size, until)
        return counted + ring.of(slot, range(first, last)).sum(axis=1) if first < last else counted

    def _buckets(self, slot: int, since: int, until: int) -> Table:
        """Give the closed buckets in a range: those of a tier, in place of all shorter ones that know less."""
        found: Table = np.zeros((5, 0))
        for place, ring in enumerate(self._rings):
            size, newest = ring.tier.seconds, ring.bucket_of(self._minute)
            first = max(since // size, newest - ring.tier.count + 1)
            last = min(-(-until // size), newest + 1)
            numbers = np.arange(first, max(first, last))
            bad, total, observed = ring.of(slot, range(first, last))
            starts = numbers * size
            at = found[0].astype(np.int64) // size - first  # what of this tier each shorter one lies in
            found, at = found[:, at >= 0], at[at >= 0]
            known = np.bincount(at, found[3], len(numbers))
            is_divided = np.bincount(at, minlength=len(numbers)) > 0
            if place:
                finer = self.tiers[place - 1].seconds
                is_divided &= (numbers == newest) | (
                    (observed > 0) & self._hold(place - 1, (starts + size) // finer - 1)
                )
            is_whole = (starts >= since) & (starts + size <= until) & (numbers < newest)
            is_given = is_whole & (observed > 0) & ~(is_divided & (total <= known * _ROUNDING))
            own = np.stack((starts, np.full(len(starts), size), bad, total, observed))[:, is_given]
            found = np.concatenate((found[:, (is_divided & ~is_given)[at]], own), axis=1)
            found = found[:, np.argsort(found[0], kind="stable")]
        return found

    def _holds(self, place: int, number: int) -> bool:
        """Whether a bucket is over and within reach of its tier."""
        ring = self._rings[place]
        newest = ring.bucket_of(self._minute)
        return max(newest - ring.tier.count, -1) < number < newest

    def _hold(self, place: int, numbers: Slots) -> Flags:
        """Say the same of many buckets."""
        ring = self._rings[place]
        newest = ring.bucket_of(self._minute)
        held: Flags = (max(newest - ring.tier.count, -1) < numbers) & (numbers < newest)
        return held

    def _book(self, minute: int) -> None:
        counted = self._pending()
        empty = bytes(8 * len(self._names))
        self._bad, self._total, self._told = array("d", empty), array("d", empty), array("d", empty)
        self._observed = bytearray(len(self._names))
        self._rings[0].put(minute, counted)

    def _parts(self, place: int, number: int, slots: Slots) -> Counted:
        """Sum a bucket up from those of the tier before."""
        fine = self._rings[place - 1]
        parts = self.tiers[place].seconds // fine.tier.seconds
        counted = nothing(len(slots))
        is_all = len(slots) == self.width
        for part in range(number * parts, (number + 1) * parts):
            counted += fine.counted(part, len(slots)) if is_all else fine.at(part, slots)
        return counted

    def _raise_to(self, place: int, number: int, slots: Slots, new: Counted, *, is_news: bool = True) -> None:
        """Let a closed bucket have what is fuller, of what it has and `new`; `is_news`: history lacks it then."""
        ring = self._rings[place]
        if ring.has(number) or is_news:
            old, new = ring.at(number, slots), ring.rounded(new)
            gains = fuller(old, new) & (old != new).any(axis=0)
            if not gains.any():
                return
            slots, new = slots[gains], new[:, gains]
        self._put_at(place, number, slots, new)
        if is_news:
            self._late.update((place, number, slot) for slot in slots.tolist())

    def _raise_longer(self, place: int, number: int, slots: Slots) -> None:
        """Let the longer buckets that a closed one is part of have at least what their parts sum up to."""
        start = number * self.tiers[place].seconds
        for longer in range(place + 1, len(self._rings)):
            of_longer = start // self.tiers[longer].seconds
            if self._holds(longer, of_longer):
                self._raise_to(longer, of_longer, slots, self._parts(longer, of_longer, slots))

    def _replace(self, place: int, number: int, slot: int, bad: float, total: float, observed: float) -> None:
        """Let a closed bucket of one series have these counts."""
        total = max(total, 0.0)
        bad = min(max(bad, 0.0), total)
        ring = self._rings[place]
        gained = ring.put_one(slot, number, (bad, total, observed), self.width)
        for one in self._all_sums():
            if one.ring is ring:
                one.correct_one(number, slot, gained)
        self._late.add((place, number, slot))

    def _put_at(self, place: int, number: int, slots: Slots, counted: Counted) -> None:
        """Write into a closed bucket, and into the sums over it."""
        ring = self._rings[place]
        sums = [one for one in self._all_sums() if one.ring is ring]
        old = ring.at(number, slots) if sums else nothing(0)
        ring.put_at(number, slots, counted, self.width)
        if sums:
            gained = ring.at(number, slots) - old
            for one in sums:
                one.correct(number, slots, gained)

    def _speak(self, slot: int) -> None:
        """Have all written that a series counted while it was silent."""
        self._silent.discard(slot)
        opened = self._opened.pop(slot, self._minute)
        if opened == self._minute:
            return
        for place, ring in enumerate(self._rings):
            numbers = range(max(ring.bucket_of(opened), ring.bucket_of(self._minute) - ring.tier.count + 1),
                            ring.bucket_of(self._minute))  # fmt: skip
            found = np.flatnonzero(ring.of(slot, numbers)[OBSERVED])
            self._late.update((place, numbers[at], slot) for at in found.tolist())

    def _closed(self, place: int, number: int) -> Closed:
        ring = self._rings[place]
        counted = ring.counted(number, self.width)
        told: Flags = counted[OBSERVED] > 0
        told[list(self._silent)] = False
        slots = np.flatnonzero(told)
        return Closed(number * ring.tier.seconds, ring.tier.seconds, self._names_of(slots), counted[:, slots])

    def _names_of(self, slots: Slots) -> tuple[str, ...]:
        if len(slots) == len(self._names):
            return tuple(self._names)
        return tuple(self._names[slot] for slot in slots.tolist())

    def _running(self, sums: Sums, key: int, ring: Ring) -> RunningSum | None:
        """Give the sum that is kept for a window, or for a beginning; None when there are too many."""
        running = sums.get(key)
        if running is None and len(sums) < MOST_SUMS:
            running = sums[key] = RunningSum(ring)
        if running is not None:
            running.asked = self._minute
        return running

    def _all_sums(self) -> Iterator[RunningSum]:
        yield from self._sums.values()
        yield from self._growing.values()
        yield from self._begun

    def _drop_sums(self) -> None:
        for sums in (self._sums, self._growing):
            for key in [key for key, one in sums.items() if one.asked < self._minute - FORGET_AFTER]:
                del sums[key]


class LedgerSeries:
    """One series of a ledger, as those see it who ask for counts."""

    __slots__ = ("_ledger", "_slot")

    def __init__(self, ledger: Ledger, slot: int) -> None:
        self._ledger = ledger
        self._slot = slot

    def last(self, seconds: int) -> Counts:
        """Count the last `seconds`, the unfinished minute included."""
        return self._ledger.window(self._slot, seconds)

    def between(self, since: int, until: int) -> Counts:
        """Count from `since` up to, without, `until` (epoch s, whole minutes)."""
        return self._ledger.between(self._slot, since, until)

    def buckets(self, since: int, until: int) -> Buckets:
        """Give the buckets with data that lie in a range, oldest first, the shortest there are."""
        return self._ledger.buckets(self._slot, since, until)


def _counts_of(counted: Counted, seconds: int) -> Counts:
    bad, total, observed = counted.tolist()
    return _counts(bad, total, observed, seconds)


def _counts(bad: float, total: float, observed: float, seconds: int) -> Counts:
    total = max(total, 0.0)
    return Counts(total - min(max(bad, 0.0), total), total, MINUTE * max(observed, 0.0), seconds)


def _observing(counted: Counted, seconds: int) -> Counted:
    """Fill in the minutes observed where they were not recorded: as many as the total allows."""
    if (counted[OBSERVED] > 0).all():
        return counted
    filled = counted.astype(np.float64)
    allowed = np.ceil(np.minimum(seconds // MINUTE, counted[TOTAL]))
    filled[OBSERVED] = np.where(counted[OBSERVED] > 0, counted[OBSERVED], allowed)
    return filled


def _is_sound(counted: Counted) -> Flags:
    bad, total, observed = counted
    result: Flags = np.isfinite(total) & (bad >= 0) & (bad <= total) & ((total > 0) | (observed > 0)) & (observed >= 0)
    return result


def _require_nested(tiers: Sequence[Tier]) -> None:
    """Raise ValueError unless tiers start with minutes and each is made of the one before, within its reach."""
    if not tiers or tiers[0].seconds != MINUTE or tiers[-1].seconds > MOST_MINUTES * MINUTE:
        raise ValueError("the first tier counts minutes, the last at most hours")
    for fine, coarse in pairwise(tiers):
        if coarse.seconds % fine.seconds or fine.reach < coarse.seconds:
            raise ValueError(
                "a tier's buckets are made of those of the tier before, which reaches at least one of them"
            )
