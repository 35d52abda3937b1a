"""All rules of one objective, as groups of plain dicts: what a PrometheusRule has in spec.groups, or a file of rules.

`now` is evaluated every minute: the events of the last five minutes, and the windows of alerts that wake somebody.
`budget` is evaluated every five minutes: the longer windows, what is left of the budget, and what dashboards need.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from homeostat.api.meta import format_duration
from homeostat.api.objective import BudgetingMethod, NoData, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.core.objective.burn import SLOW_FROM, Pair, Terms, can_fire, is_sampled, pairs
from homeostat.core.rules.alerts import Alerting, Rule
from homeostat.core.rules.names import (
    BUDGET,
    COVERAGE,
    ERROR_RATIO,
    GROUP_PREFIX,
    INFO,
    NAMESPACE_LABEL,
    OBJECTIVE,
    OBJECTIVE_LABEL,
    OVERALL_RATIO,
    OVERALL_REMAINING,
    REMAINING,
    RESERVED,
    SERVICE_LABEL,
    SLICE,
    VERSION_LABEL,
    WINDOW,
    WINDOW_LABEL,
    hashed,
    number,
    quoted,
    rated,
    thinned,
)
from homeostat.core.rules.queries import Inexpressible, Measured, measured
from homeostat.core.rules.windows import SECOND, Source

Group = Mapping[str, Any]
MINUTE, SHORTEST = timedelta(minutes=1), timedelta(minutes=5)
"""How often the first group is evaluated, and the range of what it records: longer where data comes more rarely."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """The groups of rules of an objective, their version, and what of its spec they do not do, each a sentence."""

    groups: tuple[Group, ...]
    version: str
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The names of the rules by that of their group, as Prometheus tells what it has loaded."""
        return {
            group["name"]: tuple(rule.get("record") or rule["alert"] for rule in group["rules"])
            for group in self.groups
        }


def emit(spec: ServiceLevelObjectiveSpec, namespace: str, name: str) -> Emitted:
    """Write the rules of an objective. Raises Inexpressible when there can be none."""
    indicator = spec.indicator.prometheus
    if indicator is None:
        raise Inexpressible("Rules can only be written for an indicator of type prometheus.")
    period = spec.window.rolling
    if period is None:
        raise Inexpressible("Rules cannot be written for a calendar window: PromQL knows no calendar.")
    reserved = sorted(RESERVED & set(indicator.group_by))
    if reserved:
        raise Inexpressible(f"Rules cannot be grouped by {', '.join(reserved)}: they use that label themselves.")
    return _Rules(spec, indicator, Terms((100 - spec.objective) / 100, period), namespace, name).emitted()


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one objective in the making."""

    spec: ServiceLevelObjectiveSpec
    indicator: PrometheusIndicator
    terms: Terms
    namespace: str
    name: str

    def emitted(self) -> Emitted:
        usable, left_out = self._pairs()
        fast = [pair for pair in usable if pair.long < SLOW_FROM]
        quick = {self._step, *(window for pair in fast for window in (pair.long, pair.short))}
        slow = {self.terms.period, *(window for pair in usable for window in (pair.long, pair.short))} - quick
        if self.terms.period in quick:
            slow.add(self.terms.period)
        quick.discard(self.terms.period)
        now = [*self._events(), *self._slices(), *self._ratios(self._fresh(), quick)]
        budget = [*self._steps(), *self._ratios(self._thin(), slow), *self._budget(), *self._told()]
        if not self.spec.alerting.disabled:
            now += [*self._burn_rates(fast, self._fresh()), *self._outages()]
            budget += self._burn_rates([pair for pair in usable if pair not in fast], self._thin())
            budget.append(self._alerting().exhausted(self._of(REMAINING)))
        version = hashed([now, budget])
        budget.append(self._info(version))
        groups = (self._group("now", MINUTE, now), self._group("budget", self._step, budget))
        return Emitted(groups, version, (*left_out, *self._shortcomings()))

    # --- what is counted --------------------------------------------------------------------------------

    @property
    def _step(self) -> timedelta:
        """The range of what is recorded of events: as long as data may take to come, in whole minutes."""
        return max(SHORTEST, -(-self.indicator.resolution // MINUTE) * MINUTE)

    def _events(self) -> Iterator[Rule]:
        queries = measured(self.indicator, self._step)
        total, bad = rated("total", self._step), rated("bad", self._step)
        if not queries.total:
            yield self._record(bad, queries.bad(""))
            yield self._record(total, f"{self._of(bad)} * 0 + 1")
            return
        yield self._record(total, queries.total)
        yield self._record(bad, queries.bad(self._of(total)))

    def _steps(self) -> Iterator[Rule]:
        if self._is_sliced:
            return
        for what in ("total", "bad"):
            yield self._record(thinned(what, self._step), self._of(rated(what, self._step)))

    @property
    def _is_sliced(self) -> bool:
        return self.spec.budgeting.method is not BudgetingMethod.OCCURRENCES

    def _slices(self) -> Iterator[Rule]:
        """Record each slice once, in the minute after its end: 1 or 0, or the share of bad events in it."""
        if not self._is_sliced:
            return
        slice_ = self._slice
        share = _share(measured(self.indicator, slice_), self._on)
        if self.spec.budgeting.slice_objective is not None:
            share = f"({share}) > bool {number(1 - self.spec.budgeting.slice_objective / 100)}"
        is_over = f"vector(time() % {slice_ // SECOND}) < {MINUTE // SECOND}"
        yield self._record(SLICE, f"({share})\nand on () ({is_over})")

    @property
    def _slice(self) -> timedelta:
        slice_ = self.spec.budgeting.slice or timedelta(0)
        if not slice_ or slice_ % MINUTE:
            raise Inexpressible("Rules can only be written for slices of whole minutes.")
        return slice_

    def _fresh(self) -> Source:
        if self._is_sliced:
            return Source(self._of(SLICE), "", self._slice, self._slice)
        return self._events_source()

    def _events_source(self) -> Source:
        return Source(self._of(rated("bad", self._step)), self._of(rated("total", self._step)), MINUTE, self._step)

    def _thin(self) -> Source:
        if self._is_sliced:
            return self._fresh()
        bad, total = (self._of(thinned(what, self._step)) for what in ("bad", "total"))
        return Source(bad, total, self._step, self._step)

    # --- windows, budget, alerts ------------------------------------------------------------------------

    def _ratios(self, source: Source, windows: set[timedelta]) -> Iterator[Rule]:
        for window in sorted(windows):
            if window >= source.step:
                yield self._record(ERROR_RATIO, source.ratio(window), {WINDOW_LABEL: format_duration(window)})

    def _budget(self) -> Iterator[Rule]:
        """Record what is left of the budget: time without data spends nothing, as in the operator's own figures."""
        period, source = self.terms.period, self._thin()
        window = {WINDOW_LABEL: format_duration(period)}
        share = number(self.terms.bad_share)
        yield self._record(COVERAGE, source.coverage(period), window)
        spent = f"{self._of(ERROR_RATIO, **window)} * {self._of(COVERAGE, **window)} / {share}"
        yield self._record(REMAINING, f"1 - {spent}", window)
        if self.indicator.group_by:
            labels = f"{NAMESPACE_LABEL}, {OBJECTIVE_LABEL}"
            yield self._record(OVERALL_RATIO, source.overall(period, labels), window)
            covered = f"ignoring ({WINDOW_LABEL}) (max by ({labels}) ({self._of(COVERAGE, **window)}))"
            yield self._record(
                OVERALL_REMAINING, f"1 - {self._of(OVERALL_RATIO, **window)} * {covered} / {share}", window
            )  # fmt: skip

    def _told(self) -> Iterator[Rule]:
        """Record what dashboards need to know of the objective itself."""
        yield self._record(OBJECTIVE, f"vector({number(self.spec.objective / 100)})")
        yield self._record(BUDGET, f"vector({number(self.terms.bad_share)})")
        yield self._record(WINDOW, f"vector({self.terms.period // SECOND})")

    def _info(self, version: str) -> Rule:
        about = {WINDOW_LABEL: format_duration(self.terms.period), VERSION_LABEL: version}
        service = {SERVICE_LABEL: self.spec.service} if self.spec.service else {}
        return self._record(INFO, "vector(1)", about | service)

    def _pairs(self) -> tuple[list[Pair], list[str]]:
        """Give the alerts that rules can raise, and say of the others why they cannot."""
        usable, left_out = [], []
        samples = self._slice if self._is_sliced else self.indicator.resolution
        for pair in pairs(self.spec.alerting.burn_rates, self.terms.period):
            if not can_fire(pair, self.terms):
                left_out.append(f"The alert {pair.name} can never fire.")
            elif not is_sampled(pair, samples) or (pair.short < self._step and not self._is_sliced):
                left_out.append(f"The alert {pair.name} is left to the operator: its short window is too short.")
            else:
                usable.append(pair)
        return usable, left_out

    def _burn_rates(self, alerts: Sequence[Pair], source: Source) -> Iterator[Rule]:
        ratio = self._of(ERROR_RATIO, **{WINDOW_LABEL: "{window}"})
        ratio = ratio.replace("{", "{{").replace("}", "}}").replace("{{window}}", "{window}")
        return (self._alerting().burn_rate(pair, source, ratio) for pair in alerts)

    def _outages(self) -> Iterator[Rule]:
        source = self._events_source()
        has_events = self.indicator.ratio_query is None
        yield self._alerting().total_outage(source, Decimal(MINUTE // SECOND if has_events else 1))
        if self.spec.no_data is not NoData.GOOD:
            yield self._alerting().no_data(source)

    def _alerting(self) -> Alerting:
        return Alerting(self.spec, self.terms, self.namespace, self.name, self.indicator.group_by)

    def _shortcomings(self) -> Iterator[str]:
        if self.spec.exclusions:
            yield "Exclusions are not in the rules: Prometheus counts what happened then, the operator does not."
        if self._is_sliced and self._slice < self._step:
            shortest = format_duration(self._slice)
            yield f"Each slice is looked at by itself: Prometheus must scrape at least twice within {shortest}."

    # --- how rules are written --------------------------------------------------------------------------

    @property
    def _on(self) -> str:
        return f"on ({', '.join(self.indicator.group_by)})"

    def _of(self, recording: str, **labels: str) -> str:
        """Select this objective's series of a recording."""
        chosen = {NAMESPACE_LABEL: self.namespace, OBJECTIVE_LABEL: self.name, **labels}
        return f"{recording}{{{', '.join(f'{label}={quoted(value)}' for label, value in chosen.items())}}}"

    def _record(self, recording: str, expr: str, labels: Mapping[str, str] | None = None) -> Rule:
        told = {NAMESPACE_LABEL: self.namespace, OBJECTIVE_LABEL: self.name, **(labels or {})}
        return {"record": recording, "expr": expr, "labels": told}

    def _group(self, what: str, every: timedelta, rules: Sequence[Rule]) -> Group:
        """Make a group. A hash of its rules is in its name, so that Prometheus tells which version it has loaded."""
        name = f"{GROUP_PREFIX}{self.namespace}:{self.name}:{what}:{hashed(list(rules))}"
        return {"name": name, "interval": format_duration(every), "rules": list(rules)}


def _share(queries: Measured, on: str) -> str:
    """Write the share of bad events of a range by itself; nothing where there were none."""
    if not queries.total:
        return queries.bad("")
    return f"({queries.bad(f'({queries.total})')}) / {on} ({queries.total} > 0)"
