"""From one key to done: observe, decide, finalizer, intent, act, decide again. The same for every kind.

The order is the safety: a status that announces an action is written, on the very version it was decided on,
before the action happens. Whatever breaks in between is seen by the next evaluation, which starts from what
the API server holds and what the cluster shows.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from homeostat.api.meta import Conditions, ConditionStatus, Model, Status
from homeostat.api.recovery_decision import DecisionRecord
from homeostat.api.recovery_decision import Verdict as RecoveryVerdict
from homeostat.core.acceptance import INVALID, UNACCEPTED
from homeostat.core.action import FINALIZER, Action, HoldAgent, KeepGuard, Outcome, Outcomes, Verb
from homeostat.core.condition import READY, set_condition, stalled
from homeostat.core.decision import Decision
from homeostat.core.rights import REMEDY
from homeostat.core.schedule import until
from homeostat.core.significance import Significance
from homeostat.engine import points
from homeostat.engine.controller import Controller, Subject
from homeostat.engine.objects import Entry, Key, ObjectStore, Problem, entry_from
from homeostat.engine.telling import facts_of, trace_decision
from homeostat.engine.world import World
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable

log = structlog.get_logger("homeostat.decision")

MAX_ROUNDS = 12  # decide → act → decide …; a decision that still wants to act then is taken up again at once
TOO_LATE = 30.0  # seconds from the beginning of a look to an act that follows from it
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 60.0  # seconds
_LONGEST_MESSAGE = 1024


class _NotPermitted(Forbidden):
    """We may not read what a decision looks at, or not set the finalizer: the status can still say so."""


class _NoFinalizer(_NotPermitted):
    """We may not set the finalizer that a decision wants before it does anything."""


class Reconciler:
    """Evaluates one object at a time; `reconcile` gives the seconds until it wants to see it again.

    What it reads or finds gone goes by `take` and `drop`, the engine's own doors: an edit may come with the
    answer to our own write, before the watch shows it.
    """

    def __init__(
        self,
        store: ObjectStore,
        controllers: Mapping[str, Controller],
        world: World,
        *,
        take: Callable[[Entry], object],
        drop: Callable[[Key, str], None],
    ) -> None:
        self._store = store
        self._controllers = controllers
        self._world = world
        self._put = take
        self._drop = drop
        self._failures: dict[Key, int] = {}
        self._written_at: dict[Key, float] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Evaluate the object under `key`. None means: not before something changes."""
        tracer = self._world.tracer
        with tracer.span("evaluate", facts_of(key) if tracer.is_on else {}, is_root=True):
            return await self._reconcile(key)

    async def _reconcile(self, key: Key) -> float | None:
        entry = self._store.get(key)
        if entry is None:
            self._failures.pop(key, None)
            self._written_at.pop(key, None)
            return None
        try:
            again = await self._evaluate(entry)
        except Conflict:
            await self._read_again(entry)
            return self._backoff(key, "Conflict")
        except Gone:
            self._drop(key, entry.ref.uid)
            self._world.tracer.note({"homeostat.outcome": "Gone"})
            return None
        except _NotPermitted as error:
            await self._say_not_permitted(entry, str(error))
            return self._backoff(key, "Forbidden", str(error))
        except (Unavailable, Forbidden, Rejected) as error:
            return self._backoff(key, type(error).__name__, str(error))
        except Exception as error:  # the one place: a bug in one object spares the others
            log.exception("bug", kind=key.kind, namespace=key.namespace, name=key.name)
            return self._backoff(key, "Bug", type(error).__name__)
        self._failures.pop(key, None)
        return again

    async def _evaluate(self, entry: Entry) -> float | None:
        spec, problem = self._spec(entry), entry.problem()
        if spec is None:
            await self._refuse(entry, problem)
            return None
        if isinstance(status := entry.readable_status(), str):
            return self._distrust(entry, status)
        outcomes: Outcomes = {}
        for _ in range(MAX_ROUNDS):
            began = self._world.clock.monotonic()
            decision = await self._decide(Subject(entry, spec, entry.status(), problem, outcomes))
            if self._world.tracer.is_kept:
                trace_decision(self._world.tracer, entry.ref.uid, decision)
            had_finalizer = entry.has_finalizer
            try:
                entry = await self._settle(entry, decision)
            except _NoFinalizer as error:
                if FINALIZER in outcomes:
                    raise
                outcomes = {FINALIZER: Outcome(Verb.REFUSED, "Forbidden", _lacks(str(error)))}
                continue
            outcomes = await self._act(entry, decision.actions, began)
            await self._tell(entry, decision)
            is_settled = entry.has_finalizer is had_finalizer
            if is_settled and (not decision.actions or _is_renewed(decision, outcomes)):
                self._world.tracer.note({"homeostat.outcome": "Done"})
                return self._again_in(decision)
        return 0.0

    def _distrust(self, entry: Entry, complaint: str) -> float:
        """Leave an object alone whose status we cannot read: it may hold the originals of a fault or an intent."""
        log.error(
            "status unreadable", **entry.ref_fields, error=complaint, effect="nothing is decided, nothing is done"
        )
        self._world.metrics.put_off(entry.ref.kind, "StatusUnreadable")
        self._world.tracer.note({"homeostat.outcome": "StatusUnreadable"})
        return LAST_BACKOFF

    def _spec(self, entry: Entry) -> Model | None:
        """Give the spec to decide with; for one that cannot be read, what its kind can do without it."""
        spec = entry.spec()
        return self._controllers[entry.ref.kind].stand_in() if isinstance(spec, str) else spec

    async def _decide(self, subject: Subject[Any, Any]) -> Decision[Any]:
        try:
            return await self._controllers[subject.entry.ref.kind].decide(subject, self._world.clock)
        except Gone as error:  # something it looks at: the object itself is only gone when writing it says so
            raise Unavailable("something that the decision looks at is not there") from error
        except Forbidden as error:
            raise _NotPermitted(str(error)) from error

    async def _settle(self, entry: Entry, decision: Decision[Any]) -> Entry:
        """Bring finalizer and status where the decision wants them, in the order that is safe to be killed in."""
        if decision.wants_finalizer is True and not entry.has_finalizer:
            entry = await self._set_finalizer(entry, present=True)
        entry = await self._write(entry, decision)
        if decision.wants_finalizer is False and entry.has_finalizer:
            entry = await self._set_finalizer(entry, present=False)
        return entry

    async def _tell(self, entry: Entry, decision: Decision[Any]) -> None:
        """Tell the events of a decision that is on record; after the acts, which must not wait for them."""
        for event in decision.events:
            await self._world.recorder.record(event.about or entry.ref, event, self._world.clock.now())

    async def _write(self, entry: Entry, decision: Decision[Any]) -> Entry:
        controller = self._controllers[entry.ref.kind]
        significance = controller.significance(entry.status(), decision.status)
        is_new = not _only_renews(decision)
        must = bool(decision.events) or is_new
        if not self._is_worth_writing(entry.key, significance, must=must):
            return await self._confirm(entry) if is_new else entry
        what = "intent" if decision.actions else "result"
        points.reach(entry.ref.kind, f"before {what}")
        body = await self._world.objects.apply_status(
            entry.kind,
            entry.ref,
            decision.status.wire(),
            resource_version=entry.resource_version,
            is_urgent=bool(decision.actions),
        )
        points.reach(entry.ref.kind, f"after {what}")
        written = self._take(entry, body)
        if significance is Significance.CHANGE:
            fresh = _fresh(entry.status(), decision.status)
            is_news = must or fresh is not None or _word(entry.status()) != _word(decision.status)
            (log.info if is_news else log.debug)("decided", **_told(written, decision, fresh))
            self._world.metrics.decided(entry.ref.kind)
            if fresh and fresh.verdict is RecoveryVerdict.REFUSE:
                self._world.metrics.refused(fresh.reason)
        return written

    async def _confirm(self, entry: Entry) -> Entry:
        """Make sure that the intent on record is the one decided on, where there was nothing new to write."""
        body = await self._world.objects.get(entry.kind, entry.ref.namespace, entry.ref.name)
        if entry_from(body, entry.ref.kind).resource_version != entry.resource_version:
            raise Conflict("it changed since it was decided on")
        return entry

    def _is_worth_writing(self, key: Key, significance: Significance, *, must: bool) -> bool:
        if significance is Significance.NOTHING:
            return False
        if must or significance is Significance.CHANGE:
            return True
        return self._is_stale(key) and self._world.gate.may_refresh()

    def _is_stale(self, key: Key) -> bool:
        written = self._written_at.get(key)
        age = self._world.gate.refresh_every(len(self._store))
        return written is None or self._world.clock.monotonic() - written >= age

    async def _set_finalizer(self, entry: Entry, *, present: bool) -> Entry:
        try:
            body = await self._world.objects.set_finalizer(
                entry.kind, entry.ref, entry.resource_version, present=present
            )
        except Forbidden as error:
            raise (_NoFinalizer if present else _NotPermitted)(str(error)) from error
        return self._take(entry, body)

    def _take(self, entry: Entry, body: dict[str, Any]) -> Entry:
        """Remember what the API server answered to our write, so that our next decision starts from it."""
        written = entry_from(body, entry.ref.kind)
        if self._is_there(entry):
            self._written_at[entry.key] = self._world.clock.monotonic()
            self._put(written)
        return written

    def _is_there(self, entry: Entry) -> bool:
        """Whether the watch has not shown meanwhile that the object is gone."""
        known = self._store.get(entry.key)
        return known is not None and known.ref.uid == entry.ref.uid

    async def _act(self, entry: Entry, actions: tuple[Action, ...], began: float) -> dict[str, Outcome]:
        """Perform actions in order; stop at the first that is not done, and when what was seen is old by now (R12)."""
        outcomes: dict[str, Outcome] = {}
        for action in actions:
            if not self._is_there(entry):
                raise Gone("it was deleted before it could act")
            if self._world.clock.monotonic() - began > TOO_LATE:
                raise Unavailable("the API server is too slow: what was decided on is old by now")
            points.reach(entry.ref.kind, f"before {type(action).__name__}")
            outcome = await self._world.act(entry.ref.kind, action)
            points.reach(entry.ref.kind, f"after {type(action).__name__}")
            outcomes[action.id] = outcome
            is_quiet = _is_renewal(action) and outcome.verb is Verb.DONE
            (log.debug if is_quiet else log.info)(
                "acted", **entry.ref_fields,
                action=type(action).__name__, id=action.id, outcome=outcome.verb.value, reason=outcome.reason,
            )  # fmt: skip
            if outcome.verb is not Verb.DONE:
                break
        return outcomes

    async def _refuse(self, entry: Entry, problem: Problem | None) -> None:
        """Say on the object that its spec cannot be read. What was last accepted keeps running."""
        status, (reason, message) = entry.status(), problem or (INVALID, "")
        conditions = self._unready(entry, status, reason, message)
        refused = status.model_copy(update={"conditions": conditions, "observed_generation": entry.generation})
        if refused != status:
            body = await self._world.objects.apply_status(entry.kind, entry.ref, refused.wire())
            self._take(entry, body)

    async def _say_not_permitted(self, entry: Entry, what: str) -> None:
        """Say on the object, once, that it waits for a right of ours; all else of its status stays as it is."""
        status = entry.readable_status()
        if isinstance(status, str) or self._failures.get(entry.key):
            return
        conditions = self._unready(entry, status, "NotPermitted", _lacks(what))
        waiting = status.model_copy(update={"conditions": conditions})
        if waiting == status:
            return
        try:
            body = await self._world.objects.apply_status(
                entry.kind, entry.ref, waiting.wire(), resource_version=entry.resource_version
            )
        except (Unavailable, Forbidden, Rejected, Conflict, Gone) as error:
            log.debug("not said", **entry.ref_fields, error=type(error).__name__)
        else:
            self._take(entry, body)

    def _unready(self, entry: Entry, status: Status, reason: str, message: str) -> Conditions:
        """Set Ready to False for a reason that is the same for all kinds, and Stalled if only an edit ends it."""
        now = self._world.clock.now()
        conditions = set_condition(
            status.conditions, READY, ConditionStatus.FALSE, reason, message, entry.generation, now
        )
        return stalled(conditions, UNACCEPTED, now)

    async def _read_again(self, entry: Entry) -> None:
        try:
            body = await self._world.objects.get(entry.kind, entry.ref.namespace, entry.ref.name)
        except Gone:
            self._drop(entry.key, entry.ref.uid)
        except (Unavailable, Forbidden) as error:
            log.warning("not read again", **entry.ref_fields, error=str(error))
        else:
            self._put(entry_from(body, entry.ref.kind))

    def _again_in(self, decision: Decision[Any]) -> float:
        """Come back when the decision asks for it, and in any case when its figures may be refreshed."""
        refresh = self._world.gate.refresh_every(len(self._store))
        if decision.check_again_at is None:
            return refresh
        return min(refresh, until(decision.check_again_at, self._world.clock.now()))

    def _backoff(self, key: Key, reason: str, message: str = "") -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        if (
            failures if reason == "Conflict" else not failures or reason != "Forbidden"
        ):  # a right is not given in seconds
            log.warning("put off", kind=key.kind, namespace=key.namespace, name=key.name, reason=reason, error=message)
        self._world.metrics.put_off(key.kind, reason)
        self._world.tracer.note({"homeostat.outcome": reason})
        if reason == "Conflict" and not failures:
            return 0.0
        return float(min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(failures, 10)))


def _lacks(right: str) -> str:
    return f"The operator lacks a right that it needs for this: {right}. {REMEDY}"[:_LONGEST_MESSAGE]


def _only_renews(decision: Decision[Any]) -> bool:
    """Whether a decision begins nothing: it does nothing, or what it did a second ago."""
    return all(_is_renewal(action) for action in decision.actions)


def _is_renewal(action: Action) -> bool:
    """Whether it goes on with what is on record already: each second again, so it is not written down each time."""
    return isinstance(action, KeepGuard) or (isinstance(action, HoldAgent) and not action.begins)


def _is_renewed(decision: Decision[Any], outcomes: Outcomes) -> bool:
    """Whether all that a decision wanted went on as before: then there is nothing new to decide on."""
    is_done = all(outcome.verb is Verb.DONE for outcome in outcomes.values())
    return _only_renews(decision) and is_done


def _told(entry: Entry, decision: Decision[Any], fresh: DecisionRecord | None) -> dict[str, Any]:
    """Give the fields of the one log line of a decision; the record that is new on the status goes with it whole."""
    return {
        **entry.ref_fields,
        "state": _word(decision.status),
        "reason": _why(decision.status),
        "actions": [type(action).__name__ for action in decision.actions],
        "events": [event.reason for event in decision.events],
        **({"decision": fresh.wire()} if fresh else {}),
    }


def _fresh(old: Status, new: Status) -> DecisionRecord | None:
    """Give the record of a decision that was not on the status before."""
    before, after = getattr(old, "decision", None), getattr(new, "decision", None)
    return after if isinstance(after, DecisionRecord) and after != before else None


def _why(status: Status) -> str:
    """Give the reason of a refusal or of a verdict, where the status has one."""
    blocked = getattr(status, "blocked", None)
    return str(blocked.reason if blocked else getattr(status, "reason", ""))


def _word(status: Status) -> str:
    """Give the one word that says where an object stands."""
    return str(getattr(status, "phase", None) or getattr(status, "state", None) or "")
