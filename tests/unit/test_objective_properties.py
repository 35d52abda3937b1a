"""What holds of every objective, whatever its spec, its status and its counts."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.burn import Terms
from homeostat.core.decision import Ref
from homeostat.core.objective import CheckSeen, ObjectiveSeen, decide, significance, windows
from homeostat.core.objective_figures import measure
from homeostat.core.significance import Significance
from homeostat.core.window import Counts

NOW = datetime(2026, 12, 1, 12, 0, 30, 250_000, tzinfo=UTC)
REF = Ref("ServiceLevelObjective", "shop", "checkout", "uid-1")
EXACT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")

spans = st.builds(lambda count, unit: f"{count}{unit}", st.integers(1, 90), st.sampled_from(["m", "h", "d"]))


def is_accepted(spec: dict[str, Any]) -> bool:
    try:
        ServiceLevelObjectiveSpec.model_validate(spec)
    except ValueError:
        return False
    return True


@st.composite
def specs(draw: st.DrawFn) -> ServiceLevelObjectiveSpec:
    """Any spec that the models accept, and some that admission would not."""
    rates = st.fixed_dictionaries(
        {
            "budget": st.integers(1, 100).map("{}%".format),
            "long": spans,
            "severity": st.sampled_from(["Page", "Ticket"]),
        },
        optional={"short": spans},
    )
    places = draw(st.integers(0, 12))
    objective = draw(st.integers(1, 100 * 10**places - 1).map(lambda n: format(Decimal(n).scaleb(-places), "f")))
    plain = {
        "objective": objective,
        "window": draw(
            st.sampled_from([*range(1, 2161), None]).map(lambda hours: {"rolling": f"{hours}h"} if hours else {})
        ),
        "indicator": draw(st.sampled_from([*[{"healthCheck": {"name": "checkout"}}] * 9, {}])),
        "noData": draw(st.sampled_from(["Unknown", "Good", "Bad"])),
        "alerting": {
            "disabled": draw(st.booleans()),
            "minBadEvents": draw(st.integers(0, 5)),
            "burnRates": draw(
                st.lists(rates, max_size=8).map(
                    lambda found: [rate for rate in found if is_accepted({**BARE, "alerting": {"burnRates": [rate]}})]
                )
            ),
        },
    }
    return ServiceLevelObjectiveSpec.model_validate(plain)


BARE = {"objective": "99.9", "window": {"rolling": "30d"}, "indicator": {"healthCheck": {"name": "checkout"}}}


@st.composite
def counted(draw: st.DrawFn, span: timedelta) -> Counts:
    total = draw(st.one_of(st.just(0.0), st.floats(0.001, 1e12), st.integers(1, 10**6).map(float)))
    good = draw(st.one_of(st.just(total), st.just(0.0), st.floats(0, total)))
    seconds = span.total_seconds()
    return Counts(good, total, draw(st.floats(0, seconds)), int(seconds))


@st.composite
def sights(draw: st.DrawFn, spec: ServiceLevelObjectiveSpec) -> ObjectiveSeen:
    """Anything that may be known of an objective, some of it missing."""
    counts = {window: draw(counted(window)) for window in windows(spec) if draw(st.integers(0, 9))}
    check = st.builds(
        CheckSeen,
        interval=st.timedeltas(timedelta(seconds=1), timedelta(days=1)),
        observed_at=st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(days=1)).map(lambda age: NOW - age)),
        stale_after=st.timedeltas(timedelta(seconds=1), timedelta(days=3)),
    )
    problem = draw(st.sampled_from([None, None, None, ("NotImplemented", "spec.exclusions")]))
    return ObjectiveSeen(REF, draw(st.integers(1, 3)), counts, draw(st.one_of(st.none(), check)), problem)


def numbers(value: object) -> list[str]:
    """Collect the numbers that a status writes as strings."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() if key not in {"conditions", "alerts"} for text in numbers(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in numbers(inner)]
    return [value] if isinstance(value, str) and re.match(r"^-?[0-9.NaInf]+([eE].*)?$", value) else []


@given(st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_deciding_is_total_idempotent_and_never_says_nan(data: st.DataObject) -> None:
    """S5, S16: for two sights one after the other, so that alerts and conditions have a past."""
    spec = data.draw(specs())
    status = ServiceLevelObjectiveStatus()
    for seen in (data.draw(sights(spec)), data.draw(sights(spec))):
        first = decide(spec, status, seen, NOW)
        again = decide(spec, first.status, seen, NOW)
        written = ServiceLevelObjectiveStatus.model_validate(first.status.wire())

        assert (again.status, again.events) == (first.status, ())
        assert decide(spec, written, seen, NOW).status == first.status
        assert significance(written, again.status) is Significance.NOTHING
        assert first.check_again_at is None or first.check_again_at > NOW
        assert first.actions == ()
        assert all(EXACT.fullmatch(number) for number in numbers(first.status.wire())), first.status.wire()
        status = first.status


@settings(deadline=None)
@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(1, 99_999),
    st.floats(0, 1),
)
def test_more_errors_never_leave_more_budget(total: int, bad: int, more: int, objective: int, lived: float) -> None:
    """S4, S16: monotone, exactly and as shown."""
    spec = ServiceLevelObjectiveSpec.model_validate({**BARE, "objective": format(Decimal(objective) / 1000, "f")})
    terms = Terms((100 - spec.objective) / 100, timedelta(days=30))
    span = terms.period.total_seconds()

    def with_bad(count: int) -> ObjectiveSeen:
        counts = Counts(total - min(count, total), total, lived * span, int(span))
        check = CheckSeen(timedelta(seconds=10), NOW, timedelta(minutes=1))
        return ObjectiveSeen(REF, 1, dict.fromkeys(windows(spec), counts), check)

    fewer, worse = (measure(with_bad(n).counts, timedelta(seconds=10), terms) for n in (bad, bad + more))
    shown = [decide(spec, ServiceLevelObjectiveStatus(), with_bad(n), NOW).status for n in (bad, bad + more)]

    assert fewer.consumed is not None
    assert worse.consumed is not None
    assert fewer.consumed <= worse.consumed
    assert fewer.consumed >= 0
    assert shown[0].budget is not None
    assert shown[1].budget is not None
    assert shown[0].budget.remaining >= shown[1].budget.remaining
    assert shown[0].budget.remaining <= 100 * (1 - fewer.consumed)
    assert shown[0].sli is not None
    assert shown[0].sli <= 100 - 100 * Decimal(min(bad, total)) / total
