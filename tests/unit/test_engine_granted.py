"""Rights that should be there and are not: said when that changes, and waited for where nothing can be done without."""

import asyncio
from collections.abc import Sequence

from structlog.testing import capture_logs

from fakes import FakeClock
from homeostat.core.cluster import Right
from homeostat.core.rights import Grant, Missing, Place, Scope
from homeostat.engine.granted import ROUND, GrantsWatch
from homeostat.ports import Unavailable

PODS = Grant("homeostat-core", "", "pods", ("get", "list"), Place.WATCHED, "looking at pods")
CHECKS = Grant("homeostat-core", "homeostat.dev", "healthchecks", ("list", "watch"), Place.WATCHED, "checks")
UNDO = Grant("homeostat-undo", "", "pods", ("patch",), Place.WATCHED, "another account's")


class Reviews:
    """Says no to what is in `denied`, or nothing at all."""

    def __init__(self, *denied: str) -> None:
        self.denied = set(denied)
        self.is_away = False
        self.asked: list[Right] = []

    async def missing(self, wanted: Sequence[Right]) -> tuple[Right, ...]:
        if self.is_away:
            raise Unavailable("away")
        self.asked = list(wanted)
        return tuple(one for one in wanted if f"{one.verb} {one.resource}" in self.denied)


class Shown:
    """Keeps what the metric shows."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, missing: Sequence[Missing]) -> None:
        self.words = [one.words for one in missing]


def watch(port: Reviews, shown: Shown, *grants: Grant) -> GrantsWatch:
    some = grants or (PODS, CHECKS, UNDO)
    return GrantsWatch(port, FakeClock(), shown, some, scope=Scope.CLUSTER, watched=(), own="own")


async def test_what_is_missing_is_said_once_a_role_and_again_only_when_it_changes() -> None:
    port, shown = Reviews("list pods", "get pods"), Shown()
    rights = watch(port, shown)
    with capture_logs() as told:
        for _ in range(3):
            await rights.look()
        port.denied = set()
        await rights.look()

    assert [(line["event"], line.get("rights")) for line in told] == [
        ("rights missing", ["get pods", "list pods"]), ("rights held again", None),
    ]  # fmt: skip
    assert told[0]["needed_for"] == ["looking at pods"]
    assert shown.words == []


async def test_between_rounds_what_is_missing_alone_is_asked_for() -> None:
    port, clock = Reviews("list pods"), FakeClock()
    rights = GrantsWatch(port, clock, Shown(), (PODS, CHECKS), scope=Scope.CLUSTER, watched=(), own="own")
    asked = []
    for _ in range(3):
        await rights.look()
        asked.append(len(port.asked))
    clock.advance(ROUND)
    await rights.look()
    assert [*asked, len(port.asked)] == [4, 1, 1, 4]
    assert [one.words for one in rights.missing] == ["list pods"]


async def test_rights_of_another_account_are_not_ours_to_ask_for() -> None:
    port = Reviews("patch pods")
    rights = watch(port, Shown())
    await rights.look()
    assert "patch" not in {one.verb for one in port.asked}
    assert rights.missing == ()


async def test_what_was_known_stands_while_the_api_server_does_not_say() -> None:
    port, shown = Reviews("get pods"), Shown()
    rights = watch(port, shown)
    assert await rights.look() is True
    port.is_away = True
    assert await rights.look() is False
    assert [one.words for one in rights.missing] == shown.words == ["get pods"]


async def test_who_needs_a_vital_right_waits_until_it_is_there() -> None:
    port = Reviews("watch healthchecks")
    rights = watch(port, Shown(), CHECKS)
    await rights.look()
    rights._set_doors()
    assert rights.vital() == ("watch healthchecks.homeostat.dev",)
    waiting = asyncio.ensure_future(rights.until_vital())
    await asyncio.sleep(0)
    assert not waiting.done()

    port.denied = set()
    await rights.look()
    rights._set_doors()
    await asyncio.wait_for(waiting, 5)


async def test_nobody_waits_for_an_api_server_that_does_not_say_what_we_may() -> None:
    port = Reviews()
    port.is_away = True
    rights = watch(port, Shown(), CHECKS)
    running = asyncio.ensure_future(rights.run())
    await asyncio.wait_for(rights.until_vital(), 5)
    running.cancel()
