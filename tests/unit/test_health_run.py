"""Several endpoints become one outcome, whatever the order they answered in."""

from decimal import Decimal
from math import ceil
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.health_check import HealthCheckSpec
from homeostat.core.health import plan as plans
from homeostat.core.health.plan import Plan
from homeostat.core.health.run import Answer, Run, aggregate
from homeostat.core.probing.result import Reason, Result, Verdict
from homeostat.core.ref import Ref


def plan(**fields: Any) -> Plan:
    service = {"tcp": {"service": {"name": "a", "port": 1}}}
    made = plans.compile(
        HealthCheckSpec.model_validate({"probe": service, **fields}), Ref("HealthCheck", "shop", "a", "uid")
    )
    assert isinstance(made, Plan)
    return made


def pod(number: int) -> Ref:
    return Ref("Pod", "shop", f"a-{number}", f"uid-{number}")


def answer(
    number: int,
    verdict: Verdict = Verdict.PASS,
    reason: Reason = Reason.OK,
    *,
    seconds: float = 0.01,
    again: bool = False,
) -> Answer:
    return pod(number), Result(verdict, reason, seconds), again


FAIL, ERROR, INVALID = Verdict.FAIL, Verdict.ERROR, Verdict.INVALID


def test_one_endpoint_that_passes_is_a_pass() -> None:
    assert aggregate([answer(1, again=True)], plan()) == Run(Verdict.PASS, Reason.OK, 0.01, 1, 1, is_retried=True)


def test_no_endpoints_is_a_failure() -> None:
    assert aggregate([], plan()) == Run(FAIL, Reason.NO_ENDPOINTS, 0.0, 0, 0)


def test_one_failing_endpoint_of_three_fails_the_run_and_is_named() -> None:
    """H4: worst-of, never last-of; the share that passes is reported."""
    run = aggregate([answer(1), answer(2, FAIL, Reason.TIMEOUT, seconds=2.0), answer(3, seconds=0.03)], plan())

    assert run == Run(FAIL, Reason.TIMEOUT, 0.03, 2, 3, failing=((pod(2), "a-2", Reason.TIMEOUT),))


def test_different_reasons_are_summed_up() -> None:
    run = aggregate([answer(1, FAIL, Reason.TIMEOUT), answer(2, FAIL, Reason.UNREACHABLE)], plan())

    assert (run.verdict, run.reason, run.seconds) == (FAIL, Reason.TOO_FEW_PASSING, 0.01)


def test_enough_passing_endpoints_pass_and_the_others_are_named() -> None:
    """H2: a partial success passes while `minPassing` is met; it is degraded by what is named here."""
    run = aggregate([answer(1), answer(2), answer(3, FAIL, Reason.TIMEOUT)], plan(minPassing="66%"))

    assert (run.verdict, run.passing, run.total, len(run.failing)) == (Verdict.PASS, 2, 3, 1)


def test_our_own_error_is_no_failure_of_the_target() -> None:
    """H1: with one endpoint unknown, two of three can neither pass nor fail a bound of 100%."""
    run = aggregate([answer(1), answer(2, ERROR, Reason.INTERNAL), answer(3)], plan())

    assert (run.verdict, run.reason, run.failing) == (ERROR, Reason.INTERNAL, ())


def test_a_failure_beyond_repair_fails_whatever_else_is_unknown() -> None:
    """H1, H4."""
    run = aggregate([answer(1, ERROR, Reason.INTERNAL), answer(2, FAIL, Reason.TIMEOUT)], plan())

    assert (run.verdict, run.reason) == (FAIL, Reason.TIMEOUT)


def test_the_gravest_of_what_is_neither_stands() -> None:
    answers = [answer(1, Verdict.SKIPPED, Reason.SUSPENDED), answer(2, INVALID, Reason.ADDRESS_NOT_ALLOWED)]

    assert aggregate(answers, plan())[:2] == (INVALID, Reason.ADDRESS_NOT_ALLOWED)


def test_a_single_endpoint_that_is_neither_keeps_its_verdict() -> None:
    run = aggregate([(None, Result(INVALID, Reason.UNKNOWN_PORT, 0.0), False)], plan())

    assert (run.verdict, run.reason) == (INVALID, Reason.UNKNOWN_PORT)


def test_the_replicas_of_a_workload_are_its_share_whichever_way_it_ends() -> None:
    """H4: it is one request, and says how many are ready of how many wanted."""
    passed = Result(Verdict.PASS, Reason.OK, 0.01, share=(2, 3))
    failed = Result(FAIL, Reason.NOT_ENOUGH_READY, 0.01, share=(1, 3))

    assert aggregate([(None, passed, False)], plan())[3:5] == (2, 3)
    assert aggregate([(None, failed, False)], plan())[:2] == (FAIL, Reason.NOT_ENOUGH_READY)
    assert aggregate([(None, failed, False)], plan())[3:5] == (1, 3)


def test_a_failure_without_a_share_is_none_of_one() -> None:
    assert aggregate([answer(1, FAIL, Reason.TIMEOUT)], plan())[3:5] == (0, 1)


def test_the_step_that_decided_is_named_and_not_the_target() -> None:
    """H4: worst-of, by name."""
    run = aggregate([(None, Result(FAIL, Reason.TIMEOUT, 0.1, step="login"), False)], plan())

    assert run.failing == ((None, "login", Reason.TIMEOUT),)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 10.0, 20.0, 30.0])), min_size=1, max_size=5))
def test_the_first_certificate_that_expires_counts_whoever_shows_it(shown: list[tuple[bool, float]]) -> None:
    answers = [
        (pod(number), Result(Verdict.PASS if passes else FAIL, Reason.OK, 0.1, not_after=expiry), False)
        for number, (passes, expiry) in enumerate(shown)
    ]

    assert aggregate(answers, plan()).not_after == min((expiry for _, expiry in shown if expiry), default=0.0)


verdicts = st.sampled_from(
    [
        (Verdict.PASS, Reason.OK),
        (FAIL, Reason.TIMEOUT),
        (FAIL, Reason.CONNECTION_REFUSED),
        (ERROR, Reason.INTERNAL),
        (INVALID, Reason.ADDRESS_NOT_ALLOWED),
        (Verdict.SKIPPED, Reason.SUSPENDED),
        (Verdict.UNKNOWN, Reason.API_UNAVAILABLE),
    ]
)
shares = st.integers(1, 100).map(lambda percent: f"{percent}%")


@given(st.lists(verdicts, min_size=1, max_size=8), shares, st.randoms())
def test_the_order_of_answers_does_not_matter(given_: list[tuple[Verdict, Reason]], share: str, chance: Any) -> None:
    """H4: worst-of is of a set."""
    answers = [answer(number, *pair) for number, pair in enumerate(given_)]
    shuffled = answers.copy()
    chance.shuffle(shuffled)

    assert aggregate(answers, plan(minPassing=share)) == aggregate(shuffled, plan(minPassing=share))


@given(st.lists(verdicts, min_size=1, max_size=8), shares)
def test_a_run_passes_or_fails_only_on_evidence(given_: list[tuple[Verdict, Reason]], share: str) -> None:
    """H1, H4: as if what was not learnt had come out either way."""
    compiled = plan(minPassing=share)
    run = aggregate([answer(number, *pair) for number, pair in enumerate(given_)], compiled)
    needed = ceil(Decimal(share[:-1]) * len(given_) / 100)
    passed = sum(verdict is Verdict.PASS for verdict, _ in given_)
    failed = sum(verdict is FAIL for verdict, _ in given_)

    assert (run.verdict is Verdict.PASS) == (passed >= needed)
    assert (run.verdict is FAIL) == (len(given_) - failed < needed)
    assert (run.passing, run.total, len(run.failing)) == (passed, len(given_), failed)
