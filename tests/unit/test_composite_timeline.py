"""What members' buckets make up over time, all at once, is what one finds who walks along them (S12)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.objective_indicator import CompositeMode, WhenMissing
from homeostat.core.history.window import Bucket, Counts
from homeostat.core.objective.composite import Composite, Part

NOON = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp())
NOW = datetime.fromtimestamp(NOON - 30, tz=UTC)
HOUR = 3600
Row = tuple[int, int, float, float]
"""Start, end, bad and total."""


class Kept:
    """A member of which some buckets are kept, of several lengths."""

    def __init__(self, buckets: Sequence[Bucket]) -> None:
        self._all = buckets

    def last(self, seconds: int) -> Counts:
        return self.between(NOON - seconds, NOON)

    def between(self, since: int, until: int) -> Counts:
        held = self.buckets(since, until)
        total = sum(bucket.total for bucket in held)
        observed = sum(bucket.observed for bucket in held) * 60.0
        return Counts(total - sum(bucket.bad for bucket in held), total, observed, until - since)

    def buckets(self, since: int, until: int) -> Sequence[Bucket]:
        return [bucket for bucket in self._all if since <= bucket.start and bucket.start + bucket.seconds <= until]


@st.composite
def members(draw: st.DrawFn) -> Part:
    """Draw a member: hours first, then five minutes, then minutes, with gaps."""
    buckets, start = [], NOON - 6 * HOUR
    for length, count in ((HOUR, 3), (300, 24), (60, 60)):
        kept = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        for is_kept in kept:
            if is_kept:
                total = draw(st.sampled_from([0.0, 1.0, 12.0, 7.5]))
                bad = total * draw(st.sampled_from([0, 0, 0.25, 1]))
                buckets.append(Bucket("", start, length, total - bad, total, 1))
            start += length
    interval = timedelta(seconds=draw(st.sampled_from([10, 60, 90, 600, 7200])))
    return Part("m", draw(st.integers(1, 5)), Kept(buckets) if draw(st.booleans()) or buckets else None, interval)


def lane(part: Part, since: int) -> list[tuple[int, int, Bucket]]:
    """Say from when to when each bucket of a member speaks."""
    buckets = part.series.buckets(since, NOON) if part.series else ()
    following = [bucket.start for bucket in buckets[1:]] + [NOON]
    speaks = int(part.interval.total_seconds())
    return [
        (one.start, max(one.start + one.seconds, min(one.start + speaks, after)), one)
        for one, after in zip(buckets, following, strict=False)
    ]


def walked(mode: CompositeMode, missing: WhenMissing, parts: Sequence[Part], since: int) -> Iterator[Row]:
    """Walk from one edge of a bucket to the next."""
    lanes = [(part, lane(part, since - HOUR)) for part in parts]
    edges = sorted({since, *(edge for _, spoken in lanes for one in spoken for edge in one[:2])})
    for start, end in pairwise(edges):
        shares, absent, is_known = [], 0, False
        for part, spoken in lanes:
            here = next((bucket for a, b, bucket in spoken if a <= start < b), None)
            known_until = max((b for _, b, _ in spoken if b <= start), default=since - HOUR)
            is_known = is_known or here is not None
            if here is not None and here.total > 0:
                share = min((end - start) / here.seconds, 1.0)
                shares.append((part.weight, here.bad * share, here.total * share))
            elif here is None and end - known_until >= HOUR and missing is not WhenMissing.IGNORE:
                absent += part.weight
        if is_known:
            yield (start, end, *made(mode, shares, absent, float(missing is WhenMissing.BAD)))


def made(
    mode: CompositeMode, shares: Sequence[tuple[int, float, float]], absent: int, ratio: float
) -> tuple[float, float]:
    """Make up bad and total of what members say of a stretch."""
    if not shares:
        return 0.0, 0.0
    weights, total = sum(share[0] for share in shares), sum(share[2] for share in shares)
    if mode is CompositeMode.ALL:
        return max([bad / of for _, bad, of in shares] + [ratio] * bool(absent)) * total, total
    if mode is CompositeMode.WEIGHTED:
        mean = sum(weight * bad / of for weight, bad, of in shares) + absent * ratio
        return mean / (weights + absent) * total, total
    unseen = total * absent / weights
    return sum(share[1] for share in shares) + unseen * ratio, total + unseen


@pytest.mark.parametrize("mode", CompositeMode)
@pytest.mark.parametrize("missing", WhenMissing)
@settings(deadline=None, max_examples=30)
@given(
    st.lists(members(), max_size=4),
    st.sampled_from([HOUR // 2, HOUR, 3 * HOUR + 420, 6 * HOUR]),
    st.sampled_from([0, HOUR]),
)
def test_all_stretches_at_once_are_what_walking_along_finds(
    mode: CompositeMode, missing: WhenMissing, parts: list[Part], seconds: int, asked_before: int
) -> None:
    """S12: whatever was asked for before."""
    composite = Composite(mode, missing, parts, NOW)
    composite.buckets(NOON - asked_before, NOON)
    expected = [row for row in walked(mode, missing, parts, NOON - seconds) if row[1] > NOON - seconds]

    found = composite.buckets(NOON - seconds, NOON)

    if seconds >= HOUR:  # what was asked for before went further back, and knows more of who is missing
        assert [(one.start, one.start + one.seconds) for one in found] == [row[:2] for row in expected]
        assert [one.bad for one in found] == pytest.approx([row[2] for row in expected])
        assert [one.total for one in found] == pytest.approx([row[3] for row in expected])
    if mode is CompositeMode.ALL and seconds >= HOUR:
        lengths = [min(end, NOON) - max(start, NOON - seconds) for start, end, _, _ in expected]
        ratios = [bad / total if total else None for _, _, bad, total in expected]
        counts = composite.last(seconds)
        spoken = [(ratio, length / 60) for ratio, length in zip(ratios, lengths, strict=True) if ratio is not None]
        assert counts.total == pytest.approx(sum(length for _, length in spoken))
        assert counts.bad == pytest.approx(sum(ratio * length for ratio, length in spoken))
        assert counts.observed_seconds == sum(lengths)
