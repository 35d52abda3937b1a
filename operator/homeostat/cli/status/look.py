"""One look at how all stands, or one after the other until somebody has seen enough."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from homeostat.cli import desk
from homeostat.cli.arguments import BadArguments
from homeostat.cli.carrying_out import FAILED
from homeostat.cli.showing import Harmless, console_of_stdout, show, written
from homeostat.cli.status.reading import KINDS, read
from homeostat.cli.status.report import Standing, as_data, as_screen
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import ApiClient, Patience
from homeostat.kube.apiserver.credentials import Credentials
from homeostat.ports import Clock, Forbidden, Gone, Rejected, Unavailable

if TYPE_CHECKING:
    from rich.live import Live

ALL_WELL, NOT_WELL = 0, 1
SOON = Patience(timeout=4.0, total=4.0)
"""Somebody watches: rather say now that there is no answer than have an old one look like a new one."""
EVERY = 2.0
"""Seconds between the end of one look and the beginning of the next, where looking takes next to nothing."""
REST = 4
"""Times as long as the last look took is rested: who watches a large cluster costs it a fifth of one request's work."""
_BETWEEN = {"text": "\n", "json": "", "yaml": "---\n"}


def look(credentials: Credentials, namespace: str, service: str, output: str) -> int:
    """Look once and show it; give the exit code. Raises what `ports.Objects` raises, and BadArguments."""
    standing = asyncio.run(_look(credentials, namespace, service))
    return code_of(standing) if show(as_data(standing), output, lambda: as_screen(standing)) else FAILED


async def _look(credentials: Credentials, namespace: str, service: str) -> Standing:
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        standing = await read(client, namespace, service, SystemClock())
    check(standing)
    return standing


def check(standing: Standing) -> None:
    """Raise when there is nothing to show: Forbidden or Gone for every kind, or no service of the name asked for."""
    if len(standing.not_read.keys() & {kind.plural for kind in KINDS.values()}) == len(KINDS):
        whys = set(standing.not_read.values())
        raise BadArguments(f"status: nothing can be read here: {'; '.join(sorted(whys))} (try -n NAMESPACE)")
    if standing.asked_for and not standing.services:
        where = f"in namespace {standing.namespace}" if standing.namespace else "in the cluster"
        raise BadArguments(f"status: there is no service {standing.asked_for!r} {where}")


def code_of(standing: Standing) -> int:
    """Give the exit code: something wrong outweighs something that could not be read."""
    if not standing.is_well:
        return NOT_WELL
    return FAILED if standing.is_partial or standing.silence else ALL_WELL


# --- again and again ------------------------------------------------------------------------------------


class Screen(Protocol):
    """Where what is seen is shown."""

    def show(self, standing: Standing, stale: str) -> bool:
        """Show it, and why it is old; False when nobody looks any more."""
        ...


def watch(credentials: Credentials, namespace: str, service: str, output: str) -> int:
    """Look again and again until interrupted; give the exit code of what was seen last. Raises as `look` does."""
    if output != "text" or not sys.stdout.isatty():
        return asyncio.run(_watch(credentials, namespace, service, Blocks(output)))
    from rich.live import Live  # noqa: PLC0415 - for a terminal only

    with Live(console=console_of_stdout(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        return asyncio.run(_watch(credentials, namespace, service, _Terminal(live)))


class _Terminal:
    """A live screen, drawn anew at each look."""

    def __init__(self, live: "Live") -> None:
        self._live = live

    def show(self, standing: Standing, stale: str) -> bool:
        """Draw it where it was drawn before."""
        self._live.update(Harmless(as_screen(standing, stale)), refresh=True)
        return True


class Blocks:
    """A new block for each change, for whoever reads lines."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._shown: object = None

    def show(self, standing: Standing, stale: str) -> bool:
        """Print it if it is not what was printed last."""
        data = as_data(standing) | ({"stale": stale} if stale else {})
        if data == self._shown:
            return True
        apart = "" if self._shown is None else _BETWEEN[self._output]
        self._shown = data
        try:
            print(apart + written(data, self._output, lambda: as_screen(standing, stale)), end="", flush=True)  # noqa: T201
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return False
        return True


async def _watch(credentials: Credentials, namespace: str, service: str, screen: Screen) -> int:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    for one in (signal.SIGINT, signal.SIGTERM):
        if this is not None:
            loop.add_signal_handler(one, this.cancel)
    async with ApiClient(credentials, patience=SOON) as client:
        watching = Watching(client, namespace, service, screen)
        with suppress(asyncio.CancelledError):  # which is how a watch ends
            await watching.keep_looking()
    return FAILED if watching.last is None else code_of(watching.last)


def rest_after(took: float, every: float) -> float:
    """Say for how long to rest after a look, in seconds."""
    return max(every, REST * took)


class Watching:
    """One look after the other; of each, the last alone is kept."""

    def __init__(
        self, client: ApiClient, namespace: str, service: str, screen: Screen, clock: Clock | None = None
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._service = service
        self._screen = screen
        self._clock = clock or SystemClock()
        self._silent_since = ""
        self.last: Standing | None = None

    async def keep_looking(self, every: float = EVERY) -> None:
        """Look until nobody looks any more. Raises what the first look does; after that only says that it is old."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            seen = await self.look()
            took = loop.time() - began
            if not self._screen.show(*seen):
                return
            await asyncio.sleep(rest_after(took, every))

    async def look(self) -> tuple[Standing, str]:
        """Give how all stands, and "" or why that is old."""
        try:
            fresh = await read(self._client, self._namespace, self._service, self._clock)
            if self.last is None:
                check(fresh)
        except (Unavailable, Forbidden, Gone, Rejected) as error:
            if self.last is None:
                raise
            self._silent_since = self._silent_since or f"{self._clock.now():%H:%M:%S}"
            why = "refuses" if isinstance(error, Forbidden) else "does not answer"
            return self.last, (
                f"OLD: since {self._silent_since} the API server {why}; this is of {self.last.at:%H:%M:%S} UTC"
            )
        self.last, self._silent_since = fresh, ""
        return fresh, ""
