"""`./hack/bench leftbehind`: SIGKILL of whoever is part of a fault, at every point, on real pods; and what is left.

First each kind of fault runs once with nothing killed, which tells the points that the operator comes by. Then it runs
once for each kill: the operator halts at the point, somebody dies, and the target is looked at until it is what it was
before, byte for byte: object, marks, processes, cgroups, packet rules. Worst time: from the kill to the first look at
which all of that was so for good; a run that goes on after a kill (its operator lives, or comes back) counts with the
seconds for which its fault was to last.
"""

import argparse
import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from bench.cluster_api import Failed
from bench.leftbehind.arena import Arena, Blackout
from bench.leftbehind.faults import KINDS, Kind
from bench.leftbehind.plan import Kill, Then, known, matrix, of_api, spread
from bench.leftbehind.trial import Verdict
from bench.progress import say
from bench.report import Row, percentile, publish

ATTEMPTS = 3
"""How often a trial is run that did not come by its point: how many writes there are depends a little on timing."""


def survey(arena: Arena, kinds: Sequence[Kind], parallel: int) -> dict[Kind, list[str]]:
    """Run each kind with nothing killed; leave out those that do not work at all, and say so."""
    found: dict[Kind, list[str]] = {}
    for _ in range(ATTEMPTS):
        with ThreadPoolExecutor(parallel) as pool:
            runs = [pool.submit(arena.run, Kill(kind, then=Then.LIVES)) for kind in kinds if kind not in found]
            for done in as_completed(runs):
                verdict = done.result()
                kind = verdict.kill.kind
                if verdict.left or verdict.note:
                    say(f"{kind.name}: does not work even without a kill: {verdict.note} {verdict.left}")
                    continue
                found[kind] = verdict.passed
                say(f"{kind.name}: {len(verdict.passed)} points, {verdict.took:.0f} s")
    return {kind: found[kind] for kind in kinds if kind in found}


def killed(arena: Arena, kills: Sequence[Kill], parallel: int) -> Iterator[Verdict]:
    """Run these trials, so many at once; those that did not come by their point once more."""
    for attempt in range(ATTEMPTS):
        missed: list[Kill] = []
        with ThreadPoolExecutor(parallel) as pool:
            runs = [pool.submit(arena.run, one) for one in kills]
            for number, done in enumerate(as_completed(runs), 1):
                verdict = done.result()
                if not verdict.was_begun:
                    continue
                _said(verdict, f"{number} of {len(runs)}")
                if verdict.was_killed or attempt + 1 == ATTEMPTS:
                    yield verdict
                else:
                    missed.append(verdict.kill)
        kills = missed


def without_api(arena: Arena, kills: Sequence[Kill], parallel: int) -> Iterator[Verdict]:
    """Kill the API server, each time for as many trials as stand at their points at once."""
    for first in range(0, len(kills), parallel):
        group = kills[first : first + parallel]
        blackout = Blackout(len(group))
        with ThreadPoolExecutor(parallel) as pool:
            runs = [pool.submit(arena.run, one, blackout.strike) for one in group]
            for number, done in enumerate(as_completed(runs), first + 1):
                yield _said(done.result(), f"{number} of {len(kills)} without API")
        blackout.end()


def _said(verdict: Verdict, where: str) -> Verdict:
    word = f"clean after {verdict.seconds:.1f} s" if not verdict.left else f"LEFT: {verdict.left}"
    if not verdict.was_killed:
        word = f"NOT KILLED: {verdict.note}"
    on = " (on)" if verdict.was_on else ""
    say(f"{where}: {verdict.kill}{on} ({verdict.took:.0f} s): {word}")
    return verdict


def rows(verdicts: Sequence[Verdict], left_out: Sequence[Kind]) -> list[Row]:
    """Give the figures of each kind, and of all."""
    found = []
    for name in dict.fromkeys(verdict.kill.kind.name for verdict in verdicts):
        found += _summary(name, [one for one in verdicts if one.kill.kind.name == name])
    for who in dict.fromkeys(verdict.kill.who for verdict in verdicts):
        found += _summary(f"killed: {who}", [one for one in verdicts if one.kill.who is who])
    for then in dict.fromkeys(verdict.kill.then for verdict in verdicts):
        found += _summary(f"then: {then}", [one for one in verdicts if one.kill.then is then])
    found += _summary("total", verdicts)
    return [*found, Row("total", "homeostat", "kinds left out", len(left_out), "1")]


def _summary(case: str, verdicts: Sequence[Verdict]) -> list[Row]:
    dead = [one for one in verdicts if one.was_killed]
    seconds = [one.seconds for one in dead]
    counts = {
        "kills": len(dead),
        "left": sum(bool(one.left) for one in dead),
        "fault_was_on": sum(one.was_on for one in dead),
        "not_killed": len(verdicts) - len(dead),
        "expired_locks": sum(one.locks for one in dead),
    }
    times = {"worst_seconds": max(seconds, default=0.0), "median_seconds": percentile(seconds, 0.5)}
    return [
        *(Row(case, "homeostat", metric, value, "1") for metric, value in counts.items()),
        *(Row(case, "homeostat", metric, value, "s") for metric, value in times.items()),
    ]


def bench(kinds: Sequence[Kind], options: argparse.Namespace) -> list[Row]:
    """Run the matrix."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homeostat-left-")))
        arena = Arena(folder)
        stack.callback(arena.close)
        points = {kind: known(kind) for kind in kinds}
        if not options.no_survey:
            points = survey(arena, kinds, options.parallel)
        kills = matrix(points, options.limit)
        say(f"{len(kills)} kills, after those of the API server")
        of_server = spread(of_api(points), options.api)
        verdicts = list(without_api(arena, of_server, options.parallel))
        arena.ends_at = began + options.minutes * 60
        verdicts += killed(arena, kills, options.parallel)
        took = time.monotonic() - began
    if not verdicts:
        raise Failed("no fault works, so nobody was killed")
    left_out = [kind for kind in kinds if kind not in points]
    return [*rows(verdicts, left_out), Row("total", "homeostat", "took", took, "s")]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of kinds, or how they begin, separated by commas")
    parser.add_argument("--parallel", type=int, default=6, help="trials at the same time")
    parser.add_argument("--limit", type=int, default=330, help="kills beside those of the API server; 0: all there are")
    parser.add_argument("--minutes", type=float, default=25.0, help="after so many no other trial begins")
    parser.add_argument("--quick", action="store_true", help="four kills of each kind, and the API server is spared")
    parser.add_argument("--no-survey", action="store_true", help="take the points of each kind for known")
    parser.add_argument("--api", type=int, default=35, help="trials in which the API server is killed")
    options = parser.parse_args()
    starts = tuple(name.strip() for name in options.only.split(",") if name)
    kinds = [kind for kind in KINDS if not starts or kind.name.startswith(starts)]
    if not kinds:
        parser.error(f"no such kind; there are {', '.join(kind.name for kind in KINDS)}")
    if options.quick:
        options.limit, options.api = 4 * len(kinds), 0
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    try:
        found = bench(kinds, options)
    except Failed as error:
        sys.exit(str(error))
    publish("leftbehind", found)


if __name__ == "__main__":
    main()
