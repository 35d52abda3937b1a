"""What a HealthCheck's status says, when it says it, and what of it is worth a write."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState, Trend
from homeostat.api.meta import ConditionStatus
from homeostat.core.condition import condition
from homeostat.core.decision import Decision, EventType
from homeostat.core.health import plan as plans
from homeostat.core.health.evaluation import HealthSeen, decide, significance
from homeostat.core.health.plan import Plan
from homeostat.core.health.reasons import HealthReason
from homeostat.core.health.run import Run
from homeostat.core.health.track import Snapshot, Track, record, restore, snapshot, watch_anew
from homeostat.core.probing.explanation import explain
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance

START = datetime(2026, 1, 1, tzinfo=UTC)
CHECK = Ref("HealthCheck", "shop", "checkout", "uid-1")
POD = Ref("Pod", "shop", "a-1", "uid-2")

CLEAN = Run(Verdict.PASS, Reason.OK, 0.003, 3, 3)
RUNS = {
    "c": CLEAN,
    "r": CLEAN._replace(is_retried=True),
    "s": CLEAN._replace(seconds=0.6),
    "p": CLEAN._replace(passing=2, failing=((POD, "a-1", Reason.TIMEOUT),)),
    "f": Run(Verdict.FAIL, Reason.TIMEOUT, 2.0, 2, 3, failing=((POD, "a-1", Reason.TIMEOUT),)),
    "n": Run(Verdict.FAIL, Reason.NO_ENDPOINTS, 0.0, 0, 0),
    "e": Run(Verdict.ERROR, Reason.INTERNAL, 0.0, 0, 3),
    "i": Run(Verdict.INVALID, Reason.UNKNOWN_PORT, 0.0, 0, 1),
}

HEALTHY, DEGRADED = HealthState.HEALTHY, HealthState.DEGRADED
UNHEALTHY, UNKNOWN, SUSPENDED = HealthState.UNHEALTHY, HealthState.UNKNOWN, HealthState.SUSPENDED


def spec(**fields: Any) -> HealthCheckSpec:
    probe = {"http": {"service": {"name": "checkout", "port": "http", "path": "/healthz?token=secret"}}}
    return HealthCheckSpec.model_validate(
        {"probe": probe, "degraded": {"latency": "500ms"}, "minPassing": "50%", **fields}
    )


SPEC = spec()


class Life:
    """One check as the engine lives with it: a run a second, a decision when something matters, writes on change."""

    def __init__(self, of: HealthCheckSpec = SPEC) -> None:
        self.spec = of
        compiled = plans.compile(of, CHECK)
        assert isinstance(compiled, Plan)
        self.plan = compiled
        self.now = START
        self.written = HealthCheckStatus()
        self.writes = 0
        self.told: list[str] = []
        self.track: Track = restore(self.written, 1, self.now, monotonic(self.now))
        self.look()

    def look(self) -> Decision[HealthCheckStatus]:
        made = decide(self.spec, self.written, HealthSeen(CHECK, 1, frozen(self)), self.now)
        self.told += [event.reason for event in made.events]
        if significance(self.written, made.status) is Significance.CHANGE:
            self.written = made.status
            self.writes += 1
        return made

    def live(self, word: str) -> "Life":
        for letter in word:
            self.now += timedelta(seconds=1)
            if note(self, RUNS[letter]):
                self.look()
        return self

    def restart(self) -> "Life":
        """Lose the process: all that remains is what the API server holds, as JSON."""
        self.written = HealthCheckStatus.model_validate(self.written.wire())
        self.track = restore(self.written, 1, self.now, monotonic(self.now))
        self.look()
        return self


def monotonic(at: datetime) -> float:
    """A clock that never jumps, as long as `at` does not either."""
    return (at - START).total_seconds()


def note(life: Life, run: Run, at: datetime | None = None) -> bool:
    at = at or life.now
    return record(life.track, life.plan, run, at, monotonic(at))


def frozen(life: Life) -> Snapshot:
    return snapshot(life.track, monotonic(life.now))


def why(status: HealthCheckStatus, type_: str) -> tuple[str, str]:
    found = condition(status.conditions, type_)
    assert found is not None
    return found.status.value, found.reason


# --- states and conditions ------------------------------------------------------------------------------


def test_a_new_check_says_that_nothing_is_known_yet() -> None:
    status = Life().written

    assert (status.state, status.score, status.observed_generation) == (UNKNOWN, None, 1)
    assert why(status, "Ready") == ("Unknown", "NoResultYet")
    assert why(status, "Healthy") == ("Unknown", "NoResultYet")
    assert status.message == "no result yet"


@pytest.mark.parametrize(
    ("word", "state", "healthy", "reason", "score"),
    [
        ("cc", HEALTHY, "True", "Passing", 100),
        ("ccf", HEALTHY, "True", "Passing", 100),
        ("ccr", DEGRADED, "True", "Degraded", 50),
        ("ccp", DEGRADED, "True", "Degraded", 33),
        ("fff", UNHEALTHY, "False", "Failing", 0),
    ],
)
def test_ready_means_that_the_state_is_known_whichever_it_is(
    word: str, state: HealthState, healthy: str, reason: str, score: int
) -> None:
    """H2; H7: degraded counts half."""
    status = Life().live(word).written

    assert (status.state, status.score) == (state, score)
    assert why(status, "Ready") == ("True", "Evaluated")
    assert why(status, "Healthy") == (healthy, reason)


def test_a_suspended_check_is_ready_and_not_judged() -> None:
    life = Life().live("cc")
    made = decide(spec(suspend=True), life.written, HealthSeen(CHECK, 2), life.now)

    assert (made.status.state, made.status.score, made.status.streak, made.status.passing) == (
        SUSPENDED,
        None,
        None,
        "",
    )
    assert why(made.status, "Ready") == ("True", "Suspended")
    assert (made.status.since, made.check_again_at, made.events) == (life.now, None, ())


def test_a_check_with_a_problem_fails_closed() -> None:
    life = Life().live("cc")
    seen = HealthSeen(CHECK, 2, frozen(life), problem=("NotImplemented", "spec.probe.dns"))
    made = decide(life.spec, life.written, seen, life.now)

    assert (made.status.state, made.status.message, made.check_again_at) == (UNKNOWN, "spec.probe.dns", None)
    assert why(made.status, "Ready") == ("False", "NotImplemented")


def test_a_probe_that_cannot_run_as_written_is_not_ready() -> None:
    """H1: invalid is neither pass nor fail: the state stays what it was."""
    status = Life().live("cci").written

    assert why(status, "Ready") == ("False", "UnknownPort")
    assert status.state is HEALTHY


def test_a_probe_that_cannot_run_as_written_says_so_for_as_long_as_it_is_so() -> None:
    """H1: its state goes stale, but the word that helps is not how long it has been so."""
    life = Life().live("cc" + "i" * 20)
    life.now += life.plan.stale_after
    status = life.look().status

    assert (status.state, why(status, "Ready"), why(status, "Healthy")) == (
        UNKNOWN,
        ("False", "UnknownPort"),
        ("Unknown", "Stale"),
    )


def test_that_a_probe_cannot_run_as_written_is_told_once_and_explained() -> None:
    """H1, S13: who forgot a Secret must not wait for somebody to look at the status."""
    life = Life().live("iii")

    assert life.told == ["CannotRun"]
    assert life.written.message == f"no result yet; cannot run as written: UnknownPort: {explain(Reason.UNKNOWN_PORT)}"
    assert life.live("i" * 40).told == ["CannotRun"]


def test_our_own_errors_leave_the_state_alone_until_it_is_stale() -> None:
    """H1."""
    life = Life().live("cc").live("e" * 20)

    assert life.written.state is HEALTHY
    learnt_nothing = f"the last run learnt nothing: Internal: {explain(Reason.INTERNAL)}"
    assert life.look().status.message == f"3 of 3 pass; {learnt_nothing}"


def test_what_is_known_goes_stale_at_the_time_that_was_announced() -> None:
    """H1, R12: no pass or fail for too long is Unknown, whatever was known before."""
    life = Life().live("cc" + "e" * 9)
    again = life.look().check_again_at
    life.now = START + timedelta(seconds=2) + life.plan.stale_after
    stale = life.look()

    assert again == life.now
    assert (stale.status.state, stale.status.since, stale.check_again_at) == (UNKNOWN, life.now, None)
    assert why(stale.status, "Ready") == ("False", "Stale")
    assert stale.status.message.startswith(
        "no run has passed or failed for too long; the last run learnt nothing: Internal"
    )
    assert (stale.status.streak, stale.status.passing) == (None, "")


def test_since_when_it_is_stale_does_not_move_with_each_look() -> None:
    """It is measured by another clock than it is told by, and status must not move by itself."""
    life = Life().live("cc")
    life.now += life.plan.stale_after
    first = life.look().status
    life.now += timedelta(seconds=5)
    silence = timedelta(seconds=5.003) + life.plan.stale_after
    seen = HealthSeen(CHECK, 1, replace(frozen(life), silence=silence))
    second = decide(life.spec, life.written, seen, life.now).status

    assert (second.since, second.state) == (first.since, UNKNOWN)
    assert significance(first, second) is Significance.NOTHING


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_wall_clock_that_jumps_makes_nothing_stale(jump: timedelta) -> None:
    """Fault 25."""
    life = Life().live("cc")
    made = decide(life.spec, life.written, HealthSeen(CHECK, 1, frozen(life)), life.now + jump)

    assert (made.status.state, made.events) == (HEALTHY, ())


def test_a_check_that_never_ran_goes_stale_too() -> None:
    life = Life()
    life.now += life.plan.stale_after
    status = life.look().status

    assert (status.state, status.since, status.message) == (UNKNOWN, START, "no run has passed or failed for too long")
    assert why(status, "Ready") == ("False", "Stale")


def test_a_check_that_does_not_run_yet_is_unknown() -> None:
    made = decide(SPEC, HealthCheckStatus(), HealthSeen(CHECK, 1), START)

    assert (made.status.state, made.status.message, made.check_again_at) == (UNKNOWN, "not running yet", None)


# --- figures --------------------------------------------------------------------------------------------


def test_figures_of_the_last_runs_are_shown() -> None:
    """H4: the share that passes, and who does not, by pod name."""
    status = Life().live("ccp").written

    assert (status.type, status.target) == ("http", "service/checkout:http/healthz")
    assert (status.passing, status.last_probe) == ("2/3", START + timedelta(seconds=3))
    assert [(endpoint.name, endpoint.reason) for endpoint in status.failing] == [("a-1", "Timeout")]
    assert status.wire()["latency"] == {"p50": "3ms", "p95": "3ms", "p99": "3ms"}
    assert status.wire()["streak"] == {"result": "Pass", "count": 3, "clean": 0}


def test_at_most_ten_failing_endpoints_are_named() -> None:
    life = Life()
    failing = tuple((None, f"a-{number:02}", Reason.TIMEOUT) for number in range(99))
    note(life, RUNS["f"]._replace(failing=failing), START)

    assert len(life.look().status.failing) == 10


def test_a_latency_below_a_millisecond_is_not_called_none() -> None:
    life = Life()
    for _ in range(2):
        note(life, CLEAN._replace(seconds=0.0002), START)

    assert life.look().status.wire()["latency"]["p99"] == "1ms"


@pytest.mark.parametrize(
    ("good", "total", "shown"),
    [(8640, 8640, "100"), (1_999_999, 2_000_000, "99.99"), (2, 3, "66.66"), (0, 5, "0"), (1, 2, "50")],
)
def test_uptime_is_rounded_down(good: int, total: int, shown: str) -> None:
    """H6: 100 only when nothing failed."""
    seen = HealthSeen(CHECK, 1, uptime={"1h": (good, total, 3600.0), "24h": (0, 0, 0.0)})

    assert decide(SPEC, HealthCheckStatus(), seen, START).status.uptime == {"1h": shown}


@given(st.integers(0, 10**7), st.integers(1, 10**7))
def test_uptime_never_says_more_than_is_true(good: int, total: int) -> None:
    """H6."""
    assume(good <= total)
    seen = HealthSeen(CHECK, 1, uptime={"1h": (good, total, 3600.0)})
    shown = decide(SPEC, HealthCheckStatus(), seen, START).status.uptime["1h"]

    assert (shown == "100") == (good == total)
    assert 0 <= Fraction(100 * good, total) - Fraction(shown) < Fraction(1, 100)


def test_figures_of_the_past_stay_through_a_suspension() -> None:
    life = Life().live("ccr")
    before = life.written.model_copy(update={"uptime": {"24h": "99.9"}})
    after = decide(spec(suspend=True), before, HealthSeen(CHECK, 2), life.now).status

    assert (after.uptime, after.latency, after.last_probe) == (before.uptime, before.latency, before.last_probe)


def test_a_trend_is_shown_and_is_worth_no_write() -> None:
    life = Life().live("cccc")
    seen = HealthSeen(CHECK, 1, frozen(life), trend=Trend.IMPROVING)
    status = decide(SPEC, life.written, seen, life.now).status

    assert status.trend is Trend.IMPROVING
    assert significance(life.written, status) is Significance.REFRESH


@pytest.mark.parametrize(
    ("not_after", "shown"),
    [(0.0, None), (1_900_000_000.4, "2030-03-17T17:46:40Z"), (1e12, "9999-12-31T23:59:59Z")],
    ids=["none", "rounded", "beyond all dates"],
)
def test_the_expiry_of_a_certificate_is_shown_to_the_second(not_after: float, shown: str | None) -> None:
    """A certificate may claim any date."""
    life = Life().live("cc")
    note(life, CLEAN._replace(not_after=not_after))

    assert life.look().status.wire().get("certificateExpiry") == shown


def test_a_new_certificate_is_a_change_and_the_same_one_is_not() -> None:
    life = Life().live("ccc")
    writes = life.writes
    for not_after in (1.9e9, 1.9e9, 0.0, 1.9e9, 2.0e9):
        if note(life, CLEAN._replace(not_after=not_after)):
            life.look()

    assert life.writes - writes == 2


def test_the_expiry_survives_a_restart_and_an_edit_forgets_it() -> None:
    """H6; an edit may name another target."""
    life = Life().live("cc")
    note(life, CLEAN._replace(not_after=1.9e9))
    life.look()
    writes = life.writes
    life.restart()
    is_other = note(life, CLEAN._replace(not_after=1.9e9))
    watch_anew(life.track, 2, monotonic(life.now))

    assert (is_other, life.writes, life.track.not_after) == (False, writes, 0.0)


# --- messages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("c", "3 of 3 pass, not yet 2 times in a row"),
        ("cc", "3 of 3 pass"),
        ("ccr", "3 of 3 pass; only after a retry"),
        ("ccs", "3 of 3 pass; slower than 500ms"),
        ("ccp", "2 of 3 pass: Timeout; only in part"),
        ("ccrc", "3 of 3 pass; clean again, not yet 2 times in a row"),
        ("ccf", "2 of 3 pass: Timeout, not yet 3 times in a row"),
        ("fff", "2 of 3 pass: Timeout"),
        ("fffc", "3 of 3 pass, not yet 2 times in a row"),
        ("nnn", "no endpoint is ready: NoEndpoints"),
    ],
)
def test_the_message_says_why_in_words_of_ours(word: str, message: str) -> None:
    """H9: reasons and numbers, never a word of the target."""
    assert Life().live(word).look().status.message == message


def test_a_slow_check_whose_bound_was_lifted_is_still_said_not_to_be_clean() -> None:
    life = Life().live("ccs")
    made = decide(spec(degraded=None), life.written, HealthSeen(CHECK, 2, frozen(life)), life.now)

    assert made.status.message == "3 of 3 pass; not cleanly"


def test_a_failure_without_a_failing_endpoint_is_worded_too() -> None:
    life = Life()
    note(life, RUNS["f"]._replace(failing=()), START)

    assert life.look().status.message == "2 of 3 pass: too few, not yet 3 times in a row"


# --- events ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("cccc", []),
        ("ccff", []),
        ("ccfffff", ["Unhealthy"]),
        ("fffcc", ["Unhealthy", "Recovered"]),
        ("fffcr", ["Unhealthy", "Recovered"]),
        ("ccrrr", ["Degraded"]),
        ("ccrcc", ["Degraded", "Recovered"]),
        ("cr", ["Degraded"]),
    ],
)
def test_an_event_is_told_only_when_the_state_changes(word: str, told: list[str]) -> None:
    assert Life().live(word).told == told


def test_a_silence_is_told_and_so_is_its_end() -> None:
    life = Life().live("cc")
    life.now += life.plan.stale_after
    life.look()
    life.live("cc")

    assert life.told == ["Stale", "Recovered"]


def test_bad_news_is_a_warning() -> None:
    life = Life().live("ccff")
    note(life, RUNS["f"], life.now)
    (event,) = life.look().events

    assert (event.type, event.note) == (EventType.WARNING, "2 of 3 pass: Timeout")


# --- writes ---------------------------------------------------------------------------------------------


def test_a_check_that_starts_well_is_written_twice_and_then_never() -> None:
    life = Life().live("c" * 100)

    assert life.writes == 2


@pytest.mark.parametrize("word", ["cc", "ccr", "fff", "ccrrr"])
def test_a_steady_state_costs_no_writes(word: str) -> None:
    life = Life().live(word)
    before = life.writes
    life.live(word[-1] * 100)

    assert life.writes == before


def test_numbers_that_always_move_only_refresh() -> None:
    life = Life().live("cccc")
    life.live("c")
    seen = HealthSeen(CHECK, 1, frozen(life), uptime={"24h": (99, 100, 1000.0)})

    assert significance(life.written, decide(SPEC, life.written, seen, life.now).status) is Significance.REFRESH


def test_an_equal_status_is_worth_nothing() -> None:
    life = Life().live("cc")

    assert significance(life.written, life.look().status) is Significance.NOTHING


def test_a_reason_that_alternates_only_refreshes() -> None:
    life = Life().live("fff")
    other = RUNS["f"]._replace(reason=Reason.CONNECTION_RESET, failing=((POD, "a-1", Reason.CONNECTION_RESET),))
    note(life, other, life.now)

    assert significance(life.written, life.look().status) is Significance.REFRESH


def test_another_pod_that_fails_is_a_change() -> None:
    life = Life().live("fff")
    note(life, RUNS["f"]._replace(failing=((None, "a-2", Reason.TIMEOUT),)), life.now)
    before = life.written

    assert significance(before, life.look().status) is Significance.CHANGE


# --- restarts and totality ------------------------------------------------------------------------------

words = st.text("crspfnei", max_size=25)


@given(words, words, st.integers(1, 4), st.integers(1, 4))
def test_no_threshold_starts_anew_after_a_restart(before: str, after: str, failures: int, successes: int) -> None:
    """H6: killed at any moment, with nothing but the significant writes, all later states are the same."""
    thresholds = spec(failureThreshold=failures, successThreshold=successes)
    one, two = Life(thresholds).live(before), Life(thresholds).live(before)
    assume(one.track.state is not UNKNOWN or not one.track.is_pass)
    two.restart()
    states = [(one.live(letter).track.state, two.live(letter).track.state) for letter in after]

    assert [first for first, _ in states] == [second for _, second in states]
    assert (one.written.state, one.written.since) == (two.written.state, two.written.since)


def test_the_third_failure_counts_after_a_restart_between_the_second_and_it() -> None:
    """H6."""
    assert Life().live("ccff").restart().live("f").written.state is UNHEALTHY


@pytest.mark.parametrize("word", ["cc", "ccrf", "ccp", "fff", "fffc", "ccs", "nnn"])
def test_a_restart_alone_writes_nothing_and_tells_nothing(word: str) -> None:
    """H3, H6: ten thousand checks after a restart are not ten thousand writes."""
    life = Life().live(word)
    writes, told = life.writes, len(life.told)
    life.restart()

    assert (life.writes, len(life.told)) == (writes, told)


def decisions(word: str, extra: str, later: float) -> Iterator[tuple[HealthCheckSpec, Life, HealthSeen, datetime]]:
    life = Life(spec(suspend=extra == "suspend")).live(word)
    problem = ("Invalid", "x" * 5000) if extra == "problem" else None
    track = None if extra == "absent" else frozen(life)
    yield (
        life.spec,
        life,
        HealthSeen(CHECK, 7, track, {"1h": (1, 2, 3.0)}, problem),
        life.now + timedelta(seconds=later),
    )


@given(words, st.sampled_from(["", "suspend", "problem", "absent"]), st.floats(-100, 1000))
def test_a_decision_is_total_valid_and_repeats_itself(word: str, extra: str, later: float) -> None:
    """Whatever was seen: deciding again at the same time changes nothing, and the next look lies ahead."""
    for of, life, seen, now in decisions(word, extra, later):
        once = decide(of, life.written, seen, now)
        twice = decide(of, once.status, seen, now)

        assert twice.status == once.status
        assert twice.events == ()
        assert once.check_again_at is None or once.check_again_at > now
        assert HealthCheckStatus.model_validate(once.status.wire()).wire() == once.status.wire()


@given(words)
def test_a_state_agrees_with_its_condition(word: str) -> None:
    status = Life().live(word).look().status
    healthy = condition(status.conditions, "Healthy")

    assert healthy is not None
    assert (healthy.status is ConditionStatus.TRUE) == (status.state in {HEALTHY, DEGRADED})
    assert (healthy.status is ConditionStatus.FALSE) == (status.state is UNHEALTHY)
    assert (healthy.reason == HealthReason.NO_RESULT_YET) <= (status.state is UNKNOWN)
