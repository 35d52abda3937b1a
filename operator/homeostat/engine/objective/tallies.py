"""What objectives count: a series of events for each and for each of its groups, and one of slices where asked for.

Each objective is in the shortest of three ledgers that reaches as far as it asks. An edit that asks for more moves it,
with what is known; what is older, and what a new objective may have counted before, is wanted from history.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite

from homeostat.api.objective_indicator import LONGEST_GROUP, MOST_GROUPS
from homeostat.core.history.ledger import Closed, Ledger, LedgerSeries
from homeostat.core.history.records import Known
from homeostat.core.history.ring import Counted
from homeostat.core.history.window import MINUTE, OBJECTIVE_TIERS, Bucket, Counts
from homeostat.core.objective.slices import ended, verdict
from homeostat.core.objective.survey import Survey, Watched
from homeostat.engine.objective.counting import Counting, Slicing
from homeostat.engine.objects import Key
from homeostat.engine.register import Register

EVENTS, SLICES = "slo", "slice"


@dataclass(frozen=True, slots=True)
class Meter:
    """What counts a check's runs: a slot of a ledger, and the latency (s) within which a pass is good."""

    ledger: Ledger
    slot: int
    faster_than: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Series of a ledger whose history is to be taken up: all of it, or that of before `until` (epoch s)."""

    ledger: Ledger
    until: int | None
    series: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Tally:
    """The slots of one group, or of the whole (""); -1 before it is open, None without slices."""

    group: str = ""
    events: int = -1
    slices: int | None = None


@dataclass(slots=True, eq=False)
class Objective:
    """One objective: how it counts, in which ledger, and its tallies: the whole, and by group."""

    key: Key
    uid: str
    counting: Counting
    survey: Survey
    ledger: Ledger
    whole: Tally = field(default_factory=Tally)
    groups: dict[str, Tally] = field(default_factory=dict)
    watched: Watched | None = None

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """The whole, and the groups."""
        return self.whole, *self.groups.values()

    def tally(self, group: str) -> Tally | None:
        """Give the tally of a group, or of the whole ("")."""
        return self.groups.get(group) if group else self.whole

    def name(self, what: str, group: str) -> str:
        """Name a series in the store."""
        return f"{what}/{self.uid}" + (f"/{sha256(group.encode()).hexdigest()[:12]}" if group else "")


class Tallies:
    """The objectives that count, in three ledgers by reach."""

    def __init__(self, register: Register) -> None:
        self.ledgers = tuple(Ledger(tiers) for tiers in OBJECTIVE_TIERS)
        self.of_check: defaultdict[Key, tuple[Meter, ...]] = defaultdict(tuple)
        self._register = register
        self._surveys = tuple(Survey(ledger) for ledger in self.ledgers)
        self._watchers: dict[Survey, dict[int, Key]] = {survey: {} for survey in self._surveys}
        self._objectives: dict[Key, Objective] = {}
        self._sliced: set[Key] = set()
        self._wanted: dict[str, tuple[Ledger, int | None]] = {}

    # --- which ------------------------------------------------------------------------------------------

    def open(self, key: Key, uid: str, counting: Counting) -> None:
        """Count for an objective; what was counted stays."""
        before = self._objectives.get(key)
        if before is not None and before.uid != uid:
            self.close(key)
            before = None
        place = self._place(counting)
        if before is None:
            objective = Objective(key, uid, counting, self._surveys[place], self.ledgers[place])
            self._objectives[key] = objective
        else:
            objective = before
            self._detach(objective)
            objective.counting = counting
            if objective.ledger.reach < self.ledgers[place].reach:
                self._move(objective, place)
        for group in ("", *counting.groups[:MOST_GROUPS]):
            self._tally(objective, group)
        if counting.slicing is not None:
            self._sliced.add(key)
            for tally in objective.tallies:
                self._slice(objective, tally, is_known=True)
        if counting.check is not None:
            meter = Meter(objective.ledger, objective.whole.events, counting.faster_than)
            self.of_check[counting.check] += (meter,)

    def close(self, key: Key) -> None:
        """Forget the series of an objective."""
        objective = self._objectives.get(key)
        if objective is None:
            return
        self.watch(key, None)
        self._detach(objective)
        del self._objectives[key]
        for tally in objective.tallies:
            for what, slot in ((EVENTS, tally.events), (SLICES, tally.slices)):
                if slot is not None:
                    name = objective.name(what, tally.group)
                    objective.ledger.close(slot)
                    self._register.remove(name)
                    self._wanted.pop(name, None)

    def series(self, key: Key, group: str) -> LedgerSeries | None:
        """Give the events of an objective or of a group."""
        objective, tally = self._find(key, group)
        return None if objective is None or tally is None else LedgerSeries(objective.ledger, tally.events)

    def slices(self, key: Key, group: str) -> LedgerSeries | None:
        """Give the slices of an objective or of a group, while it counts in slices."""
        objective, tally = self._find(key, group)
        if objective is None or tally is None or tally.slices is None or key not in self._sliced:
            return None
        return LedgerSeries(objective.ledger, tally.slices)

    def groups(self, key: Key) -> tuple[str, ...]:
        """Name the groups of an objective."""
        objective = self._objectives.get(key)
        return () if objective is None else tuple(sorted(objective.groups))

    def series_name(self, key: Key, group: str) -> str | None:
        """Give the name of a series; a group that is new has one if there is room for it."""
        objective = self._objectives.get(key)
        return objective.name(EVENTS, group) if objective is not None and _may_have(objective, group) else None

    def last_counted(self, key: Key) -> float | None:
        """Give up to when (epoch s) there is data."""
        objective, tally = self._find(key, "")
        return None if objective is None or tally is None else objective.ledger.newest(tally.events)

    # --- counting ---------------------------------------------------------------------------------------

    def add(self, key: Key, group: str, minute: int, bad: float, total: float) -> bool:
        """Count events of a minute in a group and in the whole."""
        objective = self._objectives.get(key)
        if objective is None or not _are_counts(bad, total) or not _may_have(objective, group):
            return False
        whole = objective.whole
        if not objective.ledger.add_at(whole.events, minute, bad, total):
            return False
        counted = [whole]
        if group:
            counted.append(self._tally(objective, group, is_known=False))
            objective.ledger.add_at(counted[-1].events, minute, bad, total)
        for tally in counted:
            self._reslice(objective, tally, minute * MINUTE, (minute + 1) * MINUTE)
        return True

    def put(self, key: Key, group: str, bucket: Bucket) -> bool:
        """Take a bucket of a group, or of the whole, if it is fuller."""
        objective = self._objectives.get(key)
        if objective is None or not _are_counts(bucket.bad, bucket.total) or not _may_have(objective, group):
            return False
        tally = self._tally(objective, group, is_known=False)
        if not objective.ledger.put(tally.events, bucket):
            return False
        self._reslice(objective, tally, bucket.start, bucket.start + bucket.seconds)
        return True

    def roll(self, minute: int) -> list[Closed]:
        """Go on to `minute`: book the slices that ended, give what closed and what changed in the past."""
        records: list[Closed] = []
        for ledger in self.ledgers:
            for end in self._slice_ends(ledger, minute):
                records += ledger.roll(end // MINUTE - 1)
                self._book_slices(ledger, end)
            records += ledger.roll(minute)
            records += ledger.corrections()
        return records

    # --- history ----------------------------------------------------------------------------------------

    def is_recalled(self, key: Key) -> bool:
        """Whether an objective is open, and nothing that it counted before is missing that may still be added to."""
        objective = self._objectives.get(key)
        if objective is None:
            return False
        names = (objective.name(EVENTS, tally.group) for tally in objective.tallies)
        return all(self._wanted.get(name, (None, 0))[1] is not None for name in names)

    def meet(self, known: Iterable[Known]) -> None:
        """Open the groups that history knows."""
        by_uid = {objective.uid: objective for objective in self._objectives.values()}
        for one in sorted(known, key=lambda one: -one.seen):
            what, _, rest = one.series.partition("/")
            objective = by_uid.get(rest.partition("/")[0])
            if what != EVENTS or not one.service or objective is None:
                continue
            if objective.name(EVENTS, one.service) == one.series and _may_have(objective, one.service):
                self._tally(objective, one.service)

    def wanted(self) -> list[Wanted]:
        """Give whose history is still to be taken up."""
        found: defaultdict[tuple[Ledger, int | None], list[str]] = defaultdict(list)
        for name, where in self._wanted.items():
            found[where].append(name)
        return [Wanted(ledger, until, tuple(names)) for (ledger, until), names in found.items()]

    def recalled(self, wanted: Wanted) -> Sequence[Closed]:
        """Take note that history was taken up; book the slices anew whose last verdict may not have been written.

        Those are the ones that ended last, and where events may come late, all that late events may fall into.
        """
        where = (wanted.ledger, wanted.until)
        done = {name for name in wanted.series if self._wanted.get(name) == where}
        for name in done:
            del self._wanted[name]
        closed = wanted.ledger.sum_up(done)
        end = wanted.ledger.minute * MINUTE
        for key in self._sliced if end >= 0 else ():
            objective = self._objectives[key]
            if objective.ledger is wanted.ledger and objective.name(EVENTS, "") in done:
                late = 1 if objective.counting.check else objective.ledger.tiers[0].reach
                for tally in objective.tallies:
                    self._reslice(objective, tally, end - late, end)
        return (*closed, *wanted.ledger.corrections())

    # --- survey -----------------------------------------------------------------------------------------

    def watch(self, key: Key, watched: Watched | None) -> None:
        """Watch the budget of an objective and of its groups."""
        objective = self._objectives.get(key)
        if objective is None:
            return
        objective.watched = watched
        for tally in objective.tallies:
            self._watch(objective, tally)

    def moved(self) -> tuple[Key, ...]:
        """Give the watched objectives that moved."""
        return self._watching((survey, survey.changed()) for survey in self._surveys)

    def crossed(self) -> tuple[Key, ...]:
        """Give the watched objectives of which an alert may begin or end."""
        return self._watching((survey, survey.crossed()) for survey in self._surveys)

    def _watching(self, found: Iterable[tuple[Survey, Sequence[int]]]) -> tuple[Key, ...]:
        keys = (self._watchers[survey].get(slot) for survey, slots in found for slot in slots)
        return tuple(dict.fromkeys(key for key in keys if key is not None))

    def _watch(self, objective: Objective, tally: Tally) -> None:
        is_sliced = objective.key in self._sliced and tally.slices is not None
        for slot, is_it in ((tally.events, not is_sliced), (tally.slices, is_sliced)):
            if slot is None:
                continue
            watched = objective.watched if is_it else None
            objective.survey.watch(slot, watched)
            if watched is None:
                self._watchers[objective.survey].pop(slot, None)
            else:
                self._watchers[objective.survey][slot] = objective.key

    # --- how --------------------------------------------------------------------------------------------

    def _find(self, key: Key, group: str) -> tuple[Objective | None, Tally | None]:
        objective = self._objectives.get(key)
        return objective, None if objective is None else objective.tally(group)

    def _place(self, counting: Counting) -> int:
        seconds = counting.reach.total_seconds()
        reaching = (place for place, ledger in enumerate(self.ledgers) if ledger.reach >= seconds)
        return next(reaching, len(self.ledgers) - 1)

    def _detach(self, objective: Objective) -> None:
        """Let nothing count as it did before."""
        self._sliced.discard(objective.key)
        check = objective.counting.check
        if check is None:
            return
        slot = objective.whole.events
        left = tuple(one for one in self.of_check[check] if (one.ledger, one.slot) != (objective.ledger, slot))
        if left:
            self.of_check[check] = left
        else:
            del self.of_check[check]

    def _tally(self, objective: Objective, group: str, *, is_known: bool = True) -> Tally:
        """Give the tally of a group, a new one if it has none; history has something only of groups that are known."""
        tally = objective.tally(group)
        if tally is None:
            tally = objective.groups[group] = Tally(group)
        if tally.events < 0:
            tally.events = self._open(objective, EVENTS, group, is_known=is_known)
            if objective.key in self._sliced:
                self._slice(objective, tally, is_known=is_known)
            self._watch(objective, tally)
        return tally

    def _slice(self, objective: Objective, tally: Tally, *, is_known: bool) -> None:
        if tally.slices is None:
            tally.slices = self._open(objective, SLICES, tally.group, is_known=is_known)
        self._watch(objective, tally)

    def _open(self, objective: Objective, what: str, group: str, *, is_known: bool) -> int:
        name = objective.name(what, group)
        self._register.put(name, (objective.key.namespace, objective.key.name, group))
        if is_known:
            self._wanted[name] = (objective.ledger, None)
        return objective.ledger.open(name, is_silent=is_known)

    def _move(self, objective: Objective, place: int) -> None:
        """Move an objective to a ledger that reaches further, and want what is older than it knows."""
        watched, old = objective.watched, objective.ledger
        self.watch(objective.key, None)
        objective.ledger, objective.survey = self.ledgers[place], self._surveys[place]
        longest = old.tiers[-1]
        until = (old.minute * MINUTE // longest.seconds - longest.count + 1) * longest.seconds
        for tally in objective.tallies:
            for what in (EVENTS, SLICES) if tally.slices is not None else (EVENTS,):
                name = objective.name(what, tally.group)
                slot = objective.ledger.move(name, old)
                if what == EVENTS:
                    tally.events = slot
                else:
                    tally.slices = slot
                is_all = name in self._wanted and self._wanted[name][1] is None
                self._wanted[name] = (objective.ledger, None if is_all else until)
        self.watch(objective.key, watched)

    def _slice_ends(self, ledger: Ledger, minute: int) -> list[int]:
        """Give when (epoch s) slices end up to `minute`, of those that the unfinished minute is in."""
        if ledger.minute < 0:
            return []
        lengths = {slicing.seconds for _, slicing in self._slicing_in(ledger)}
        ends = {(ledger.minute * MINUTE // seconds + 1) * seconds for seconds in lengths}
        return sorted(end for end in ends if end <= minute * MINUTE)

    def _book_slices(self, ledger: Ledger, end: int) -> None:
        """Book the slices that end with the unfinished minute."""
        counts: dict[int, Counted] = {}
        for objective, slicing in self._slicing_in(ledger):
            if end % slicing.seconds:
                continue
            if slicing.seconds not in counts:
                counts |= ledger.windows([slicing.seconds])
            for tally in objective.tallies:
                bad, total, observed = counts[slicing.seconds][:, tally.events].tolist()
                if tally.slices is not None and observed:
                    whole = Counts(total - bad, total, observed * MINUTE, slicing.seconds)
                    found = verdict(slicing.method, slicing.objective, whole)
                    if found is not None:
                        ledger.replace_at(tally.slices, ledger.minute, *found, slicing.seconds)

    def _slicing_in(self, ledger: Ledger) -> list[tuple[Objective, Slicing]]:
        found = [self._objectives[key] for key in self._sliced]
        return [
            (one, one.counting.slicing) for one in found if one.ledger is ledger and one.counting.slicing is not None
        ]

    def _reslice(self, objective: Objective, tally: Tally, since: int, until: int) -> None:
        """Book the slices anew that were over when something in them changed."""
        slicing, ledger = objective.counting.slicing, objective.ledger
        if slicing is None or tally.slices is None:
            return
        for end in ended(slicing.seconds, since, until):
            if end > ledger.minute * MINUTE:
                break
            counts = ledger.between(tally.events, end - slicing.seconds, end)
            found = verdict(slicing.method, slicing.objective, counts)
            if found is not None:
                ledger.replace_at(tally.slices, end // MINUTE - 1, *found, slicing.seconds)


def _may_have(objective: Objective, group: str) -> bool:
    """Whether a group counts, or would if it began to."""
    if objective.tally(group) is not None:
        return True
    return len(objective.groups) < MOST_GROUPS and len(group) <= LONGEST_GROUP


def _are_counts(bad: float, total: float) -> bool:
    return isfinite(total) and 0 <= bad <= total
