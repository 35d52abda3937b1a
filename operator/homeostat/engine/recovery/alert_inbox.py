"""What Alertmanager told us of the alerts that policies wait for.

Kept in memory, of namespaces with policies that have alert triggers, and bounded; what a policy took in is in its
status. A message is acknowledged once the policies it concerns have it on record, so that no kill loses a word: until
then Alertmanager is told to come again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.api.recovery_trigger import AlertTrigger
from homeostat.core.recovery.alerting import ToldAlert, accused_by, means
from homeostat.core.recovery.signals import NEVER
from homeostat.engine.objects import Key, ObjectStore
from homeostat.ports import Clock

MOST_KEPT = 1000
"""Alerts that are kept of a namespace; the one told of longest ago is forgotten first."""
FORGOTTEN_AFTER = timedelta(hours=48)
"""No trigger believes anything older: twice the longest maxDataAge."""
LOOKS, LOOK_EVERY = 250, 0.02
"""How often it is looked whether all that a message concerns have it on record, and the seconds between two looks."""

_Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Word:
    """What was last told of the alerts that a trigger means: they fire, or all that were told of are over."""

    is_firing: bool
    at: datetime
    began_at: datetime | None = None
    accused: frozenset[str] = frozenset()
    pods: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Kept:
    alert: ToldAlert
    at: datetime


class AlertInbox:
    """Takes messages, wakes the policies that they concern, and gives the last word on each trigger."""

    def __init__(self, store: ObjectStore, clock: Clock, wake: Callable[[Key], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._waiting: dict[str, dict[Key, tuple[AlertTrigger, ...]]] = {}
        self._kept: dict[str, OrderedDict[_Labels, _Kept]] = {}

    # --- who waits for what -----------------------------------------------------------------------------

    def open(self, key: Key, spec: RecoveryPolicySpec) -> None:
        """Keep what a new or edited policy waits for."""
        triggers = tuple(trigger.alert for trigger in spec.triggers if trigger.alert)
        if triggers:
            self._waiting.setdefault(key.namespace, {})[key] = triggers
        else:
            self.close(key)

    def close(self, key: Key) -> None:
        """Keep nothing more for a policy; of a namespace in which nobody waits nothing is kept."""
        waiting = self._waiting.get(key.namespace, {})
        waiting.pop(key, None)
        if not waiting:
            self._waiting.pop(key.namespace, None)
            self._kept.pop(key.namespace, None)

    # --- what is told -----------------------------------------------------------------------------------

    async def tell(self, namespace: str, alerts: Sequence[ToldAlert]) -> int | None:
        """Take a message; give how many policies it concerns, None when not all of them have it on record in time."""
        at = self._clock.now()
        concerned = self.put(namespace, alerts, at)
        for _ in range(LOOKS):
            if all(map(self._is_on_record, concerned)):
                return len(concerned)
            await asyncio.sleep(LOOK_EVERY)
        return None

    def put(self, namespace: str, alerts: Sequence[ToldAlert], at: datetime) -> tuple[Key, ...]:
        """Take alerts in, and wake whom they concern; give whom."""
        waiting = self._waiting.get(namespace)
        if waiting is None:
            return ()
        self._keep(namespace, alerts, at)
        labels = [dict(alert.labels) for alert in alerts]
        concerned = tuple(
            key
            for key, triggers in waiting.items()
            if any(means(trigger, one) for trigger in triggers for one in labels)
        )
        for key in concerned:
            self._wake(key)
        return concerned

    def _keep(self, namespace: str, alerts: Sequence[ToldAlert], at: datetime) -> None:
        kept = self._kept.setdefault(namespace, OrderedDict())
        for alert in alerts:
            kept[alert.labels] = _Kept(alert, at)
            kept.move_to_end(alert.labels)
        while kept and (len(kept) > MOST_KEPT or at - next(iter(kept.values())).at > FORGOTTEN_AFTER):
            kept.popitem(last=False)

    def _is_on_record(self, key: Key) -> bool:
        """Whether a policy has written down the last word on each of its triggers, as far as it takes in any."""
        entry = self._store.get(key)
        if entry is None or entry.problem() is not None:
            return True
        spec, status = entry.spec(), entry.status()
        if not isinstance(spec, RecoveryPolicySpec) or not isinstance(status, RecoveryPolicyStatus):
            return True
        told = {signal.trigger: signal.observed_at or NEVER for signal in status.signals}
        words = ((index, self.word(key.namespace, one.alert)) for index, one in enumerate(spec.triggers) if one.alert)
        return all(told.get(index, NEVER) >= word.at for index, word in words if word)

    # --- what is known ----------------------------------------------------------------------------------

    def word(self, namespace: str, trigger: AlertTrigger, since: datetime = NEVER) -> Word | None:
        """Give the last word on a trigger, of all that was told after `since`; None where there is none."""
        found = [one for one in self._of(namespace, trigger) if one.at >= since]
        firing = [one for one in found if one.alert.is_firing]
        if not found:
            return None
        labels = [dict(one.alert.labels) for one in firing]
        return Word(
            is_firing=bool(firing),
            at=max(one.at for one in firing or found),
            began_at=min((one.alert.started_at for one in firing if one.alert.started_at), default=None),
            accused=frozenset[str]().union(*map(accused_by, labels)),
            pods=frozenset(one["pod"] for one in labels if one.get("pod")),
        )

    def _of(self, namespace: str, trigger: AlertTrigger) -> Iterator[_Kept]:
        for one in self._kept.get(namespace, {}).values():
            if means(trigger, dict(one.alert.labels)):
                yield one
