"""Looks after the rules of objectives: which object holds them, whether it is as wanted, and what Prometheus loaded.

One round a minute for all objectives: one listing of metadata, bodies of what changed since, and one question to each
Prometheus. What others edit or delete is therefore found within a minute; a kind that appears, within ten.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.action import Outcome, Verb
from homeostat.core.prometheus.answer import Failure, LoadedGroup, Trouble
from homeostat.core.ref import Ref
from homeostat.core.rules.groups import emit
from homeostat.core.rules.holder import Holder, RuleSelector, Standing, found_digest, labels_of, wanted_digest
from homeostat.core.rules.installation import Found, Loaded, RulesSeen
from homeostat.core.rules.names import (
    GROUP_PREFIX,
    INFO,
    NAMESPACE_LABEL,
    OBJECTIVE_LABEL,
    VERSION_LABEL,
    object_name,
)
from homeostat.core.rules.queries import Inexpressible
from homeostat.engine.objects import Key
from homeostat.ports import Clock, Conflict, Forbidden, Gone, Prometheus, Rejected, Unavailable

log = structlog.get_logger("homeostat.rules")

ROUND, SOON = 60.0, 5.0
"""Seconds between two rounds; soon, when something was written or opened."""
PATIENCE = 180.0
"""Seconds that Prometheus has to load what was written, and that its last answer counts."""
RECHECK = 600.0
"""Seconds until the kind that holds rules, the selectors of Prometheus and what was refused are looked at again."""
_IDENTITY = (NAMESPACE_LABEL, OBJECTIVE_LABEL, VERSION_LABEL)
_RECORDED = f"group by ({', '.join(_IDENTITY)}) ({INFO})"
MOST_URLS, URLS_AT_ONCE = 32, 8  # of Prometheus, asked each
MOST_BODIES = 50  # read one by one; of more, all are listed


class RuleObjects(Protocol):
    """The objects with rules in the cluster. All raise Gone, Unavailable, Forbidden or Rejected."""

    async def holder(self) -> Holder:
        """Say which kind holds rules here."""
        ...

    def look(self, holder: Holder, namespaces: Sequence[str] = ()) -> AsyncIterator[Standing]:
        """List our objects with rules, metadata only."""
        ...

    def bodies(self, holder: Holder, namespaces: Sequence[str] = ()) -> AsyncIterator[Mapping[str, Any]]:
        """List our objects with rules, whole."""
        ...

    async def body(self, holder: Holder, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Read one object; None when it is not there."""
        ...

    async def selectors(self) -> tuple[RuleSelector, ...]:
        """Read which rules each Prometheus selects."""
        ...


@dataclass(slots=True)
class _Followed:
    """One objective with rules. `digests` are those of its object, by the kind that may hold it."""

    ref: Ref
    url: str
    asked: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[Holder, str] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    version_wanted: str = ""
    left_out: tuple[str, ...] = ()
    problem: str = ""
    found: Found = Found.UNKNOWN
    loaded: Loaded = Loaded.WAITING
    version: str = ""
    """That of the object whose body is known."""
    is_same: bool = False
    wanted_since: float | None = None
    held_until: float = 0.0
    """After a refusal nothing is tried until then."""

    @property
    def wants(self) -> tuple[object, ...]:
        """What an edit may change."""
        return self.ref, self.digests, self.url, self.problem

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name of the object."""
        return self.ref.namespace, object_name(self.ref.name)


@dataclass(slots=True)
class _Answer:
    """What a Prometheus last said of its rules: names of groups, and of those that are not healthy.

    One with so many rules that its answer is too large is asked for what they record instead: `recorded` has the
    namespace, name and version of each objective.
    """

    at: float
    groups: frozenset[str] = frozenset()
    unhealthy: frozenset[str] = frozenset()
    recorded: frozenset[tuple[str, str, str]] | None = None

    def has(self, one: _Followed) -> bool:
        """Whether all rules of an objective are loaded, in the version that is wanted."""
        if self.recorded is None:
            return one.groups <= self.groups
        return (one.ref.namespace, one.ref.name, one.version_wanted) in self.recorded


class RulesWatch:
    """Follows the rules of all objectives that ask for them. `seen` never waits."""

    def __init__(
        self, prometheus: Prometheus, rules: RuleObjects, clock: Clock, *, namespaces: Sequence[str] = ()
    ) -> None:
        self._prometheus = prometheus
        self._rules = rules
        self._clock = clock
        self._namespaces = namespaces
        self._followed: dict[Key, _Followed] = {}
        self._holder: Holder | None = None
        self._holder_at = float("-inf")
        self._selectors: tuple[RuleSelector, ...] = ()
        self._selectors_at = float("-inf")
        self._answers: dict[str, _Answer] = {}
        self._soon = asyncio.Event()
        self._turns = asyncio.Semaphore(URLS_AT_ONCE)
        self._is_forbidden = False

    def open(self, key: Key, ref: Ref, spec: ServiceLevelObjectiveSpec) -> None:
        """Follow an objective, or follow its edited spec; one that asks for no rules is not followed."""
        if spec.rules_ is None or not spec.rules_.emit:
            self.close(key)
            return
        fresh, known = _followed(ref, spec), self._followed.get(key)
        if known is not None and known.wants == fresh.wants:
            return
        self._followed[key] = fresh
        self._soon.set()

    def close(self, key: Key) -> None:
        """Follow an objective no more."""
        self._followed.pop(key, None)

    def seen(self, key: Key) -> RulesSeen | None:
        """Give what is known of an objective's rules; None for one that is not followed."""
        one = self._followed.get(key)
        if one is None:
            return None
        found = Found.FORBIDDEN if self._is_forbidden else one.found
        hint = self._hint(one) if one.loaded is Loaded.MISSING else ""
        return RulesSeen(self._holder, found, one.loaded, hint, one.problem, one.left_out)

    def acted(self, key: Key, outcome: Outcome) -> None:
        """Take note that the object was written, or that this was refused: what was seen of it is old by now."""
        one = self._followed.get(key)
        if one is None:
            return
        one.found = Found.UNKNOWN
        if outcome.verb is Verb.REFUSED and outcome.reason != "Conflict":
            one.held_until = self._clock.monotonic() + RECHECK
        self._soon.set()

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # a bug must not end the watch: everything it knows would be old without a word
                log.exception("bug")
            self._soon.clear()
            await _either(self._soon, ROUND)
            if self._soon.is_set():
                await asyncio.sleep(SOON)

    async def look(self) -> None:
        """Do one round. What cannot be read stays as it was."""
        if not self._followed:
            return
        try:
            await self._look_at_objects()
            self._is_forbidden = False
        except Forbidden:
            self._is_forbidden = True
        except (Unavailable, Rejected, Conflict) as error:
            log.warning("rules not read", error=str(error))
        await self._look_at_prometheus()
        if any(one.loaded is Loaded.MISSING for one in self._followed.values()):
            await self._look_at_selectors()

    # --- the cluster ------------------------------------------------------------------------------------

    async def _look_at_objects(self) -> None:
        holder = await self._which()
        for namespace in self._scopes(holder):
            some = [one for one in self._followed.values() if namespace in {"", one.ref.namespace} and not one.problem]
            try:
                await self._look_in(namespace, some, holder)
            except Forbidden:
                for one in some:
                    one.found = Found.FORBIDDEN
            except Gone:  # the kind was removed meanwhile
                self._holder_at = float("-inf")
                return
        for one in self._followed.values():
            self._begin(one)

    def _scopes(self, holder: Holder) -> Sequence[str]:
        """Say where to look, "" for everywhere. ConfigMaps are only looked at where there are objectives."""
        if self._namespaces or holder is not Holder.CONFIG_MAP:
            return self._namespaces or ("",)
        return sorted({one.ref.namespace for one in self._followed.values()})

    async def _look_in(self, namespace: str, some: Sequence[_Followed], holder: Holder) -> None:
        scope = (namespace,) if namespace else ()
        standing = {(one.namespace, one.name): one async for one in self._rules.look(holder, scope)}
        await self._read([one for one in some if self._judge(one, standing.get(one.place), holder)], holder, scope)

    async def _which(self) -> Holder:
        now = self._clock.monotonic()
        if self._holder is None or now - self._holder_at >= RECHECK:
            found = await self._rules.holder()
            if found is not self._holder:
                for one in self._followed.values():
                    one.found, one.version, one.wanted_since = Found.UNKNOWN, "", None
            self._holder, self._holder_at = found, now
        return self._holder

    def _judge(self, one: _Followed, standing: Standing | None, holder: Holder) -> bool:
        """Judge an object by its metadata; say whether its body must be read."""
        if self._clock.monotonic() < one.held_until:
            return False
        if standing is None:
            one.found, one.version = Found.ABSENT, ""
        elif standing.owner != one.ref.uid:
            one.found = Found.FOREIGN
        elif standing.digest != one.digests[holder]:
            one.found = Found.DIFFERENT
        elif standing.version == one.version:
            one.found = Found.AS_WANTED if one.is_same else Found.DIFFERENT
        else:
            return True
        return False

    async def _read(self, some: Sequence[_Followed], holder: Holder, scope: Sequence[str]) -> None:
        """Read the bodies of objects whose version is new to us."""
        if len(some) <= MOST_BODIES:
            for one in some:
                self._compare(one, await self._rules.body(holder, *one.place), holder)
            return
        waiting = {one.place: one for one in some}
        async for body in self._rules.bodies(holder, scope):
            metadata = body["metadata"]
            found = waiting.get((metadata.get("namespace", ""), metadata["name"]))
            if found is not None:
                self._compare(found, body, holder)

    @staticmethod
    def _compare(one: _Followed, body: Mapping[str, Any] | None, holder: Holder) -> None:
        if body is None:
            one.found, one.version = Found.ABSENT, ""
            return
        labels = labels_of(holder, one.asked)
        one.version = body["metadata"].get("resourceVersion", "")
        one.is_same = found_digest(holder, body, labels) == one.digests[holder]
        one.found = Found.AS_WANTED if one.is_same else Found.DIFFERENT

    def _begin(self, one: _Followed) -> None:
        """Take down since when Prometheus could have loaded the object."""
        if one.found is not Found.AS_WANTED:
            one.wanted_since, one.loaded = None, Loaded.WAITING
        elif one.wanted_since is None:
            one.wanted_since = self._clock.monotonic()

    # --- Prometheus -------------------------------------------------------------------------------------

    async def _look_at_prometheus(self) -> None:
        urls = sorted({one.url for one in self._followed.values() if not one.problem})[:MOST_URLS]
        self._answers = {url: answer for url, answer in self._answers.items() if url in urls}
        async with asyncio.TaskGroup() as asking:
            for url in urls:
                asking.create_task(self._ask_in_turn(url))
        now = self._clock.monotonic()
        for one in self._followed.values():
            if one.wanted_since is not None:
                one.loaded = self._loaded(one, now - one.wanted_since, now)

    async def _ask_in_turn(self, url: str) -> None:
        """Ask one beside others: a user's Prometheus that stalls must not make what the others said old."""
        async with self._turns:
            answer = await self._ask(url)
        if answer is not None:
            self._answers[url] = answer

    async def _ask(self, url: str) -> _Answer | None:
        """Ask one Prometheus what it has loaded; None when it does not say."""
        groups = await self._prometheus.groups(url)
        if not isinstance(groups, Failure):
            return _answer(groups, self._clock.monotonic())
        if groups.trouble is not Trouble.TOO_LARGE:
            return None
        found = await self._prometheus.query(url, _RECORDED, self._clock.now().timestamp())
        if isinstance(found, Failure):
            return None
        names = (tuple(one.labels.get(label, "") for label in _IDENTITY) for one in found.samples)
        return _Answer(self._clock.monotonic(), recorded=frozenset((a, b, c) for a, b, c in names))

    def _loaded(self, one: _Followed, waited: float, now: float) -> Loaded:
        answer = self._answers.get(one.url)
        if answer is None or now - answer.at > PATIENCE:
            return Loaded.UNKNOWN
        if one.groups & answer.unhealthy:
            return Loaded.UNHEALTHY
        if answer.has(one):
            return Loaded.LOADED
        return Loaded.MISSING if waited > PATIENCE else Loaded.WAITING

    async def _look_at_selectors(self) -> None:
        now = self._clock.monotonic()
        if self._holder is not Holder.PROMETHEUS_RULE or now - self._selectors_at < RECHECK:
            return
        self._selectors_at = now
        try:
            self._selectors = await self._rules.selectors()
        except (Forbidden, Unavailable, Rejected):
            self._selectors = ()

    def _hint(self, one: _Followed) -> str:
        if self._holder is Holder.CONFIG_MAP:
            return "A ConfigMap is read by no Prometheus by itself: have its file mounted and named in rule_files."
        return _explained(self._selectors, labels_of(Holder.PROMETHEUS_RULE, one.asked))


def _followed(ref: Ref, spec: ServiceLevelObjectiveSpec) -> _Followed:
    """Work out what an objective wants. The rules themselves are not kept: they are 10 KiB each."""
    indicator = spec.indicator.prometheus
    one = _Followed(ref, indicator.url if indicator else "")
    try:
        rules = emit(spec, ref.namespace, ref.name)
    except Inexpressible as error:
        one.problem = str(error)
        return one
    one.asked = dict(spec.rules_.labels) if spec.rules_ else {}
    one.digests = {holder: wanted_digest(holder, rules.groups, labels_of(holder, one.asked)) for holder in Holder}
    one.groups, one.version_wanted, one.left_out = frozenset(rules.names), rules.version, rules.left_out
    return one


def _answer(groups: Iterable[LoadedGroup], at: float) -> _Answer:
    ours = [group for group in groups if group.name.startswith(GROUP_PREFIX)]
    return _Answer(
        at,
        frozenset(group.name for group in ours),
        frozenset(group.name for group in ours if not group.is_healthy),
    )


def _explained(selectors: Sequence[RuleSelector], labels: Mapping[str, str]) -> str:
    """Say which labels each Prometheus wants of an object that it did not load."""
    told = []
    for selector in selectors:
        misses = selector.misses(labels)
        if selector.labels is None:
            told.append(f"Prometheus {selector.prometheus} selects no rules at all (ruleSelector).")
        elif misses:
            wanted = ", ".join(f"{key}: {value}" for key, value in sorted(misses.items()))
            told.append(
                f"Prometheus {selector.prometheus} selects rules by labels: set spec.rules.labels to {{{wanted}}}."
            )
        elif selector.has_expressions or selector.selects_namespaces:
            told.append(
                f"Prometheus {selector.prometheus} selects rules by expressions or namespaces: see its ruleSelector "
                "and ruleNamespaceSelector."
            )
    return " ".join(told) or (
        "Perhaps the ruleSelector of your Prometheus wants a label, often release: set it in spec.rules.labels."
    )


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait until something happens, at most so long."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
