"""The alerts of an objective in Prometheus: called and labelled as those that the operator raises by itself.

Each side of an `and` is brought down to the labels of its group before: the window of its recording is a label, and two
windows never match (S15).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from homeostat.api.meta import format_duration
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import AlertType, Severity
from homeostat.core.objective.alerts import OUTAGE_EVENTS
from homeostat.core.objective.burn import COVERED, SLOW_FROM, Pair, Terms, factor
from homeostat.core.objective.firing import NAMES
from homeostat.core.rules.names import number, plain
from homeostat.core.rules.windows import Source

Rule = Mapping[str, Any]
OUTAGE_SAMPLES, NO_DATA_FOR = timedelta(minutes=5), timedelta(minutes=10)
"""A total outage is seen in the samples of five minutes, of which each is about the five minutes before it."""
ALMOST_ALL = "0.999999"
"""The share that is everything: floats of a total outage may fall short of 1."""
_OWN = frozenset({"alertname", "namespace", "slo", "service", "severity", "long_window", "short_window", "expected_by"})


@dataclass(frozen=True, slots=True)
class Alerting:
    """Writes the alerts of one objective, in each of the groups that its events come in."""

    spec: ServiceLevelObjectiveSpec
    terms: Terms
    namespace: str
    name: str
    groups: Sequence[str] = ()

    def burn_rate(self, pair: Pair, source: Source, ratio: str) -> Rule:
        """Write the alert of a pair of windows. `ratio` has a place for the window: {window}.

        Time that the long window has not seen counts as good; a slow alert waits until it has seen nearly all (S6).
        """
        limit = number(factor(pair.budget, self.terms.period, pair.long) * self.terms.bad_share)
        long, short = format_duration(pair.long), format_duration(pair.short)
        seen = self._of_group(source.coverage(pair.long))
        sides = [
            f"{self._of_group(ratio.format(window=long))} * {seen} >= {limit}",
            f"{self._of_group(ratio.format(window=short))} >= {limit}",
        ]
        if pair.long >= SLOW_FROM:
            sides.append(f"{seen} >= {COVERED}")
        if self.spec.alerting.min_bad_events:
            bad = self._of_group(source.bad_events(pair.long))
            sides.append(f"{bad} >= {self.spec.alerting.min_bad_events}")
        times = number(factor(pair.budget, self.terms.period, pair.long).quantize(Decimal("0.01")))
        return self._alert(
            AlertType.BURN_RATE,
            pair.severity,
            self._renamed("\nand\n".join(f"({side})" for side in sides)),
            f"the error budget burns at {times} times its rate, or faster, over {long}/{short}.",
            {"long_window": long, "short_window": short},
        )

    def total_outage(self, source: Source, each: Decimal) -> Rule:
        """Write the alert of an outage in which nothing is good. A sample of `source` stands for `each` bad events."""
        within = format_duration(OUTAGE_SAMPLES)
        bad, total = f"sum(sum_over_time({source.bad}[{within}]))", f"sum(sum_over_time({source.total}[{within}]))"
        expr = f"({bad} >= {ALMOST_ALL} * ({total} > 0))\nand\n({bad} * {number(each)} >= {OUTAGE_EVENTS})"
        return self._alert(AlertType.TOTAL_OUTAGE, Severity.PAGE, expr, "everything is bad.")

    def no_data(self, source: Source) -> Rule:
        """Write the alert of data that does not arrive."""
        expr = f"max(absent({source.bad}))"
        return self._alert(AlertType.NO_DATA, Severity.TICKET, expr, "data stopped arriving.", lasts=NO_DATA_FOR)

    def exhausted(self, remaining: str) -> Rule:
        """Write the alert of a budget that is gone."""
        expr = self._renamed(f"{self._of_group(remaining)} <= 0")
        return self._alert(AlertType.BUDGET_EXHAUSTED, Severity.TICKET, expr, "no error budget is left.")

    def _alert(
        self,
        kind: AlertType,
        severity: Severity,
        expr: str,
        summary: str,
        windows: Mapping[str, str] | None = None,
        lasts: timedelta | None = None,
    ) -> Rule:
        own = {"namespace": self.namespace, "slo": self.name, "severity": severity.value.lower(), **(windows or {})}
        service = {"service": self.spec.service} if self.spec.service else {}
        notes = {"summary": f"{self.namespace}/{self.name}: {summary}"}
        if self.spec.description:
            notes["description"] = plain(self.spec.description)
        waits = {"for": format_duration(lasts)} if lasts else {}
        return {"alert": NAMES[kind], "expr": expr, **waits, "labels": own | service, "annotations": notes}

    def _of_group(self, expr: str) -> str:
        return f"max by ({', '.join(self.groups)}) ({expr})"

    def _renamed(self, expr: str) -> str:
        """Set apart the label of a group that is called like one of ours: else all its groups were one alert."""
        for label in self._clashing():
            expr = f'label_replace(\n{expr}\n, "exported_{label}", "$1", "{label}", "(.*)")'
        return expr

    def _clashing(self) -> Iterator[str]:
        return (label for label in self.groups if label in _OWN)
