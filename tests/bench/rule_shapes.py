"""The rules that Sloth and Pyrra write for a ratio of requests, as their documentation and examples show them.

Their generators are no Go modules that can be had everywhere, so the shapes are written down here: which windows there
are, what each is made of, how often it is evaluated. Names of metrics and labels are shortened.
"""

from collections.abc import Sequence
from dataclasses import dataclass

SLOTH_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
SLOTH_PAIRS = (("5m", "1h", 14.4), ("30m", "6h", 6), ("2h", "1d", 3), ("6h", "3d", 1))
PYRRA_PAIRS = (("5m", "1h", 14), ("30m", "6h", 7), ("2h", "1d", 2), ("6h", "4d", 1))
PYRRA_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "4d")
BUDGET = 0.001


@dataclass(frozen=True, slots=True)
class Shape:
    """Expressions that are evaluated every `seconds`."""

    seconds: int
    exprs: Sequence[str]


def sloth(job: str, period: str = "30d", seconds: int = 60) -> tuple[Shape, ...]:
    """Seven windows of raw rates; the period as the mean of what was recorded of 5m; seven of metadata; two alerts."""
    bad, total = f'http_requests_total{{job="{job}",code=~"5.."}}', f'http_requests_total{{job="{job}"}}'
    id_ = f'sloth_id="{job}"'
    windows = [f"(sum(rate({bad}[{window}]))) / (sum(rate({total}[{window}])))" for window in SLOTH_WINDOWS]
    recorded = f"slo:sli_error:ratio_rate5m{{{id_}}}"
    whole = f"sum_over_time({recorded}[{period}]) / ignoring (sloth_window) count_over_time({recorded}[{period}])"
    budget = f"slo:error_budget:ratio{{{id_}}}"
    meta = [
        "vector(0.999)", "vector(1-0.999)", "vector(30)", f"{recorded} / on(sloth_id) group_left {budget}",
        f"slo:sli_error:ratio_rate{period}{{{id_}}} / on(sloth_id) group_left {budget}",
        f"1 - slo:period_burn_rate:ratio{{{id_}}}", "vector(1)",
    ]  # fmt: skip
    fires = [_sloth_pair(id_, *pair) for pair in SLOTH_PAIRS]
    alerts = [f"{fires[0]} or ignoring (sloth_window) {fires[1]}", f"{fires[2]} or ignoring (sloth_window) {fires[3]}"]
    return (Shape(seconds, [*windows, whole, *meta, *alerts]),)


def _sloth_pair(id_: str, short: str, long: str, factor: float) -> str:
    sides = (f"(slo:sli_error:ratio_rate{window}{{{id_}}} > ({factor} * {BUDGET}))" for window in (short, long))
    return f"({' and ignoring (sloth_window) '.join(sides)})"


def pyrra(job: str, period: str = "30d") -> tuple[Shape, ...]:
    """Seven burn rates of raw rates and four alerts every 30 s; the increase over the period every 150 s."""
    bad, total = f'http_requests_total{{job="{job}",code=~"5.."}}', f'http_requests_total{{job="{job}"}}'
    rates = [f"sum(rate({bad}[{window}])) / sum(rate({total}[{window}]))" for window in PYRRA_WINDOWS]
    alerts = [
        f'http_requests:burnrate{short}{{slo="{job}"}} > ({factor} * {BUDGET}) and '
        f'http_requests:burnrate{long}{{slo="{job}"}} > ({factor} * {BUDGET})'
        for short, long, factor in PYRRA_PAIRS
    ]
    increase = [f"sum by (code) (increase({total}[{period}]))", f"absent({total}) == 1"]
    return Shape(30, [*rates, *alerts]), Shape(150, increase)
