"""`homeostat chaos sweep`: finds what experiments left behind, and undoes it, with the rights of whoever asks.

Without --all it touches only what no experiment answers for. With --all, which is for the end of an installation and
wants the operator stopped, it takes off every fault that bears a marker, removes every guard and lock, and
lets go of the experiments that nothing is left of. Order: faults, agents, guards, locks, finalizers.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta

from homeostat.api.chaos import KIND as EXPERIMENT
from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.cli import desk
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import credentials_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.chaos.sweep_report import as_data, as_text, compared, found_in, name_of
from homeostat.cli.parsers.chaos_sweep import parser
from homeostat.cli.showing import show
from homeostat.cli.streams import complain
from homeostat.core.action import DropGuard, Verb
from homeostat.core.chaos.faults.sweeping import is_over
from homeostat.core.guarding.held import Held, Leftover, mark_on, restore_by_mark
from homeostat.core.ref import Ref
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.clock import clock_skew
from homeostat.kube.apiserver.credentials import Credentials
from homeostat.kube.apiserver.resources import WORKLOADS
from homeostat.kube.faults.agents_left import agents_left
from homeostat.kube.faults.fields import ApiFields
from homeostat.kube.faults.remains import Holder, Remains, leader_of, read_remains
from homeostat.kube.guards.keeping import ApiGuards
from homeostat.kube.leases.lease import LeaseObject, Leases
from homeostat.kube.objects import ApiObjects
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable

CLEAN, LEFT = 0, 1
ATTEMPTS = 5
"""So often a target is tried that others write at the same time."""
POLL = 0.5  # seconds
STOPPED_WITHIN = 60.0
"""Seconds that an operator may take to stop: longer than its Pod may, and than its lead lasts when it is killed."""
TROUBLES = (Unavailable, Forbidden, Gone, Rejected, Conflict)
_KINDS = {kind.kind: kind for kind in (EXPERIMENT, GAME_DAY)}


def main(arguments: Sequence[str]) -> int:
    """Sweep; give the exit code: 0 nothing is left, 1 something is, 2 when it could not be asked."""
    return carry_out(
        parser(),
        arguments,
        lambda asked: asyncio.run(_sweep(credentials_of(asked), asked)),
        when_gone="is that the right cluster?",
        when_forbidden="to sweep takes the rights to list and patch what faults can be on. Try -n NAMESPACE",
    )


async def _sweep(credentials: Credentials, asked: argparse.Namespace) -> int:
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        clock = await _ServerTime.of(client)
        if asked.stop and not asked.dry_run:
            await _stop(client, asked, clock)
        before = await _read(client, asked, clock)
        if asked.all and not asked.dry_run:
            _refuse_beside_an_operator(before.leader, asked.operator_namespace)
        found = found_in(before, is_all=asked.all)
        if not asked.dry_run:
            await _Broom(client, asked).sweep(before)
            found = compared(found, found_in(await _read(client, asked, clock), is_all=asked.all))
    is_written = show(as_data(found), asked.output, lambda: as_text(found))
    return (LEFT if any(one.is_left for one in found) else CLEAN) if is_written else FAILED


class _ServerTime:
    """What time it is for the API server: by a clock that is fast, here, an operator that leads would look gone."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    @classmethod
    async def of(cls, client: ApiClient) -> "_ServerTime":
        """Ask for it; where that is not answered, this machine's clock is what there is."""
        try:
            return cls(timedelta(seconds=await clock_skew(client.credentials, SystemClock().now)))
        except Unavailable:
            return cls(timedelta(0))

    def now(self) -> datetime:
        """Give it."""
        return SystemClock().now() + self._ahead


def _refuse_beside_an_operator(leader: str | None, namespace: str) -> None:
    """Raise BadArguments unless it is known that nobody leads."""
    if leader is None:
        raise BadArguments(
            f"sweep: whether an operator leads is not known, as you may not get leases in {namespace}: it would put on "
            "again what is taken off"
        )
    if leader:
        raise BadArguments(
            f"sweep: an operator leads ({leader}) and would put on again what is taken off: stop it first, "
            f"as by `kubectl -n {namespace} scale deployment homeostat --replicas=0`"
        )


async def _stop(client: ApiClient, asked: argparse.Namespace, clock: _ServerTime) -> None:
    """Have no replica of the operator run, and wait until none leads; one that is gone already has stopped."""
    path = WORKLOADS["Deployment"].path(asked.operator_namespace, asked.stop)
    try:
        await client.request("PATCH", path, body={"spec": {"replicas": 0}}, content_type=MERGE_PATCH)
    except Gone:
        complain([f"there is no Deployment {asked.stop!r} in {asked.operator_namespace} to stop"], "note: ")
        return
    loop = asyncio.get_running_loop()
    until = loop.time() + STOPPED_WITHIN
    while leader := await leader_of(client, asked.operator_namespace, clock.now()):
        if loop.time() >= until:
            raise BadArguments(f"sweep: {leader} still leads, {STOPPED_WITHIN:.0f} s after it was told to stop")
        await asyncio.sleep(POLL)


async def _read(client: ApiClient, asked: argparse.Namespace, clock: _ServerTime) -> Remains:
    own, now = asked.operator_namespace, clock.now()
    return await read_remains(client, asked.namespace, own, now, has_locks=asked.all)


class _Broom:
    """Takes away what is left. What it fails at, it says, and goes on."""

    def __init__(self, client: ApiClient, asked: argparse.Namespace) -> None:
        self._client = client
        self._asked = asked
        self._fields = ApiFields(client)
        self._guards = ApiGuards(client, asked.operator_namespace)

    async def sweep(self, remains: Remains) -> None:
        """Take away faults, wait for agents to end, then remove guards, and let go of experiments."""
        is_off = [await self._tried(name_of(held.ref), self._restore(held)) for held in self._due(remains)]
        has_ended = not remains.agents or remains.leader != "" or await self._agents_end()
        if not all(is_off):
            return  # its guard, or its experiment, may still undo what we could not
        for guard in remains.guards:
            if self._is_due(guard.experiment, guard.run, remains):
                await self._tried(guard.name, self._drop(guard))
        for lock in remains.locks:
            await self._tried(f"lock {lock.namespace}/{lock.name}", self._unlock(lock))
        can_be_read = all(mark_on(held) is not None for held in remains.marked)
        if self._asked.all and has_ended and can_be_read:
            for holder in remains.holders:
                if holder.has_finalizer:
                    await self._tried(name_of(holder.ref), self._let_go(holder))

    def _due(self, remains: Remains) -> list[Held]:
        """Give what bears a marker that we can read, of a run that is over; or, if all is asked for, of any."""
        marks = ((held, mark_on(held)) for held in remains.marked)
        return [held for held, mark in marks if mark and self._is_due(mark.experiment, mark.run, remains)]

    def _is_due(self, experiment: str, run: int, remains: Remains) -> bool:
        return bool(self._asked.all) or is_over(run, remains.experiments.get(experiment))

    async def _tried(self, what: str, work: Awaitable[bool]) -> bool:
        try:
            return await work
        except TROUBLES as error:
            complain([f"{what}: {type(error).__name__}: {error}"])
            return False

    async def _restore(self, found: Held) -> bool:
        """Take a fault off by its marker; others may write at the same time, and a new run may have come meanwhile."""
        ref = found.ref
        for _ in range(ATTEMPTS):
            held = await self._fields.read(ref)
            if held is None or held.ref.uid != ref.uid or mark_on(held) != mark_on(found):
                return True
            action = restore_by_mark(held, "sweep")
            if action is None:
                return True
            try:
                outcome = await self._fields.perform(action)
            except Conflict:
                continue
            if outcome.verb is Verb.DONE:
                return True
            complain([f"{name_of(ref)}: {outcome.message}"])
            return False
        complain([f"{name_of(ref)}: others kept changing it"])
        return False

    async def _agents_end(self) -> bool:
        """Wait for agents, which nobody beats for, to end by themselves."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._asked.wait
        while await agents_left(self._client, self._asked.namespace):
            if loop.time() >= until:
                return False
            await asyncio.sleep(POLL)
        return True

    async def _drop(self, guard: Leftover) -> bool:
        owner = Ref(EXPERIMENT.kind, guard.namespace, "", guard.experiment)
        return (await self._guards.drop(DropGuard("sweep", guard.name, owner))).verb is Verb.DONE

    async def _unlock(self, lock: LeaseObject) -> bool:
        """Remove a lock that nobody is left to hold."""
        await Leases(self._client).delete(lock)
        return True

    async def _let_go(self, holder: Holder) -> bool:
        """Take our finalizer off, so that whoever deletes the object, or its kind, need not wait for an operator."""
        kind, objects = _KINDS[holder.ref.kind], ApiObjects(self._client)
        body = await objects.get(kind, holder.ref.namespace, holder.ref.name)
        await objects.set_finalizer(kind, holder.ref, body["metadata"]["resourceVersion"], present=False)
        return True
