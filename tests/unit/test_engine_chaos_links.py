"""Links to fault agents: they beat while it is permitted, attach again, and tell an agent to end until it has."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from fakes import NOON, FakeClock
from homeostat.core.action import DeletePod, HoldAgent, Outcome, StartAgent, StopAgent, Verb
from homeostat.core.orders import AgentState, Beat, Order, Said
from homeostat.core.ref import Ref
from homeostat.engine.chaos.acting import Hands
from homeostat.engine.chaos.links import AgentLinks
from homeostat.engine.objects import Key
from homeostat.ports import Gone, Unavailable

POD = Ref("Pod", "shop", "web-1", "uid-web-1")
NAME = "homeostat-1"
EXPERIMENT = Key("ChaosExperiment", "shop", "slow")
EVERY = 0.005
READY, ON, OFF = Said(AgentState.READY, "nftables"), Said(AgentState.ON, "nftables"), Said(AgentState.OFF)
REFUSED = Said(AgentState.REFUSED, reason="NoMechanism")
PATIENCE = 10.0


@dataclass(eq=False)
class Line:
    """One attachment: what came of it in order, and what it is going to say."""

    agent: "Agent"
    said: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    looks_before: int = 0
    is_broken: bool = False
    is_closed: bool = False

    async def send(self, line: bytes) -> None:
        if self.is_broken:
            raise Unavailable("broken")
        await self.agent.take(Beat.read(line), self)

    async def hear(self) -> bytes | None:
        return await self.said.get()

    async def close(self) -> None:
        self.is_closed = True
        self.said.put_nowait(None)

    def snap(self) -> None:
        """Break, as a connection does whose other end went away."""
        self.is_broken = True
        self.said.put_nowait(None)


@dataclass(eq=False)
class Agent:
    """An agent that answers beats, and the container it runs in."""

    beats: list[Beat] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    logged: list[bytes] = field(default_factory=lambda: [READY.line()])
    is_there: bool = True
    is_mute: bool = False
    is_stuck: bool = False
    is_over: bool = False
    is_log_there: bool = True
    looks: int = 0
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def attached(self, _pod: Ref, _name: str) -> AsyncIterator[Line]:
        if not self.is_there:
            raise Gone("no such container")
        line = Line(self, looks_before=self.looks)
        self.lines.append(line)
        await self._tell()
        if self.is_over:
            line.snap()
        yield line
        if self.is_stuck:
            await asyncio.Event().wait()

    async def last_lines(self, _pod: Ref, _name: str) -> Sequence[bytes]:
        self.looks += 1
        await self._tell()
        if not self.is_log_there:
            raise Unavailable("the kubelet does not answer")
        return list(self.logged)

    async def take(self, beat: Beat, line: Line) -> None:
        self.beats.append(beat)
        if not self.is_mute:
            self.say(OFF if beat.revert else replace(ON, beat=beat.number), line)
        await self._tell()

    def say(self, said: Said, line: Line | None = None) -> None:
        self.logged.append(said.line())
        if line is not None:
            line.said.put_nowait(said.line())

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE), self.news:
            await self.news.wait_for(lambda: bool(condition()))


@dataclass(eq=False)
class Scene:
    """Links that run, their one agent, and who was woken."""

    agent: Agent
    links: AgentLinks
    clock: FakeClock
    woken: list[Key]
    leads: list[bool]

    def state(self) -> AgentState | None:
        said = self.links.heard(POD.uid, NAME).said
        return said.state if said else None

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - links tell nobody
                await asyncio.sleep(0)


Story = Callable[[Scene], Awaitable[None]]


async def play(story: Story) -> Scene:
    """Run a story beside the links, and end them."""
    agent, clock, woken, leads = Agent(), FakeClock(), list[Key](), [True]
    links = AgentLinks(agent, clock, lambda: leads[-1], woken.append, EVERY)
    scene = Scene(agent, links, clock, woken, leads)
    running = asyncio.get_running_loop().create_task(links.run())
    try:
        await asyncio.sleep(0)
        await story(scene)
    finally:
        running.cancel()
        await asyncio.wait([running])
    return scene


async def test_an_agent_is_only_heard_until_it_may_begin() -> None:
    """C2: who attends hears that it is ready; no beat, which would be the go, is sent."""

    async def story(scene: Scene) -> None:
        scene.links.attend(POD, NAME, EXPERIMENT)
        await scene.until(lambda: scene.state() is AgentState.READY)
        await asyncio.sleep(3 * EVERY)

    scene = await play(story)

    assert scene.agent.beats == []
    assert scene.links.heard(POD.uid, NAME).at == NOON
    assert scene.woken == [EXPERIMENT]


async def test_an_agent_may_begin_once_a_beat_was_sent_and_not_by_a_permission_alone() -> None:
    """C2: what was permitted to an agent that cannot be reached has not begun, and may still be dropped."""

    async def story(scene: Scene) -> None:
        scene.agent.is_there = False
        scene.links.hold(POD, NAME, 3.0)
        await scene.agent.until(lambda: scene.agent.looks)
        assert not scene.links.was_told(POD.uid, NAME)
        scene.agent.is_there = True
        await scene.agent.until(lambda: scene.agent.beats)
        assert scene.links.was_told(POD.uid, NAME)

    await play(story)


async def test_beats_go_out_while_they_are_permitted_and_not_a_moment_longer() -> None:
    """C4: the permission runs out by a clock that never jumps; another one goes on from there."""

    async def story(scene: Scene) -> None:
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON)
        scene.clock.advance(2.9)
        sent = len(scene.agent.beats)
        await scene.agent.until(lambda: len(scene.agent.beats) > sent)
        scene.clock.advance(0.2)
        await asyncio.sleep(3 * EVERY)
        sent = len(scene.agent.beats)
        scene.clock.advance(EVERY)
        await asyncio.sleep(5 * EVERY)
        assert len(scene.agent.beats) == sent
        scene.links.hold(POD, NAME, 3.0)
        await scene.agent.until(lambda: len(scene.agent.beats) > sent)

    scene = await play(story)

    assert [beat.number for beat in scene.agent.beats] == list(range(1, len(scene.agent.beats) + 1))


async def test_who_does_not_lead_does_not_beat() -> None:
    """C4: another replica may act by now."""

    async def story(scene: Scene) -> None:
        scene.leads.append(False)
        scene.links.hold(POD, NAME, 3.0)
        await scene.agent.until(lambda: scene.agent.lines)
        await asyncio.sleep(3 * EVERY)

    assert (await play(story)).agent.beats == []


async def test_an_attachment_that_breaks_is_made_again() -> None:
    """C4: within a beat or two, so that the lease holds."""

    async def story(scene: Scene) -> None:
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON)
        scene.agent.lines[0].snap()
        sent = len(scene.agent.beats)
        scene.clock.advance(EVERY)
        await scene.agent.until(lambda: len(scene.agent.beats) > sent)

    scene = await play(story)

    assert len(scene.agent.lines) == 2


async def test_an_attachment_without_an_answer_counts_as_broken() -> None:
    """C4: what looks open and carries nothing would cost the lease."""

    async def story(scene: Scene) -> None:
        scene.agent.is_mute = True
        scene.links.hold(POD, NAME, 3.0)
        await scene.agent.until(lambda: scene.agent.beats)
        await scene.until(lambda: len(scene.agent.lines) == 2 or scene.clock.advance(EVERY / 10))

    await play(story)


async def test_an_attachment_without_an_answer_is_made_again_while_the_lease_lasts() -> None:
    """C4: the first beat that is lost leaves two of three; the other end of what broke is not waited for."""

    async def story(scene: Scene) -> None:
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON)
        scene.agent.is_mute = scene.agent.is_stuck = True
        sent = len(scene.agent.beats)
        scene.clock.advance(EVERY)
        await scene.agent.until(lambda: len(scene.agent.beats) > sent)
        scene.clock.advance(1.3 * EVERY)
        await scene.agent.until(lambda: len(scene.agent.lines) == 2)
        sent = len(scene.agent.beats)
        await scene.agent.until(lambda: len(scene.agent.beats) > sent)

    await play(story)


async def test_an_attachment_that_broke_is_made_again_before_any_log_is_read() -> None:
    """C4: a log may take longer than the lease."""

    async def story(scene: Scene) -> None:
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON and scene.agent.looks)
        scene.agent.lines[0].snap()
        await scene.agent.until(lambda: len(scene.agent.lines) == 2)

    scene = await play(story)

    assert scene.agent.lines[1].looks_before == 1


@pytest.mark.parametrize("is_refused", [True, False])
async def test_a_last_word_that_was_lost_with_an_attachment_is_found(*, is_refused: bool) -> None:
    """C5: an agent that has ended refuses the next attachment, or that one ends before a word is heard."""

    async def story(scene: Scene) -> None:
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON)
        scene.agent.say(OFF)
        scene.agent.is_there, scene.agent.is_over = not is_refused, True
        scene.agent.lines[0].snap()
        await scene.until(lambda: scene.state() is AgentState.OFF)

    await play(story)


async def test_an_agent_that_is_told_to_stop_is_told_until_it_has_stopped() -> None:
    """C5: its own word is what counts; a permission that comes late is none."""

    async def story(scene: Scene) -> None:
        scene.links.attend(POD, NAME, EXPERIMENT)
        await scene.until(lambda: scene.state() is AgentState.READY)
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON)
        scene.agent.is_mute = True
        scene.links.stop(POD, NAME)
        scene.links.hold(POD, NAME, 3.0)
        scene.clock.advance(EVERY)
        await scene.agent.until(lambda: scene.agent.beats[-1].revert)
        scene.agent.is_mute = False
        scene.clock.advance(EVERY)
        await scene.until(lambda: scene.state() is AgentState.OFF)

    scene = await play(story)

    stops = [beat.revert for beat in scene.agent.beats]
    assert stops == sorted(stops)
    assert scene.woken == [EXPERIMENT] * 3


async def test_a_last_word_that_nobody_heard_is_read_from_the_log() -> None:
    """C5: an agent that refuses is gone before anybody can attach."""

    async def story(scene: Scene) -> None:
        scene.agent.is_there = False
        scene.agent.logged = [b"nonsense", REFUSED.line(), b"more of it"]
        scene.links.attend(POD, NAME, EXPERIMENT)
        await scene.until(lambda: scene.state() is AgentState.REFUSED)

    scene = await play(story)

    heard = scene.links.heard(POD.uid, NAME).said
    assert heard is not None
    assert (heard.reason, scene.agent.beats, scene.woken) == ("NoMechanism", [], [EXPERIMENT])


async def test_a_first_word_that_the_attachment_missed_is_heard_when_it_is_said_again() -> None:
    """C4: a runtime passes lines on a moment after it took the attachment; no right to read logs is needed."""

    async def story(scene: Scene) -> None:
        scene.agent.is_log_there = False
        scene.links.attend(POD, NAME, EXPERIMENT)
        await scene.agent.until(lambda: scene.agent.lines and scene.agent.looks)
        await asyncio.sleep(3 * EVERY)
        assert scene.state() is None
        scene.agent.say(READY, scene.agent.lines[0])
        await scene.until(lambda: scene.state() is AgentState.READY)
        scene.agent.say(READY, scene.agent.lines[0])
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON)

    scene = await play(story)

    assert (len(scene.agent.lines), scene.agent.looks, scene.woken) == (1, 1, [EXPERIMENT, EXPERIMENT])


async def test_an_agent_that_says_that_it_is_ready_has_not_answered_the_go() -> None:
    """C4: a wire that carries nothing towards the agent is made again, also while lines come from it."""

    async def story(scene: Scene) -> None:
        scene.agent.is_mute = True
        scene.links.hold(POD, NAME, 3.0)
        await scene.agent.until(lambda: scene.agent.beats)
        scene.agent.say(READY, scene.agent.lines[0])
        await scene.until(scene.agent.lines[0].said.empty)
        scene.clock.advance(1.3 * EVERY)
        await scene.agent.until(lambda: len(scene.agent.lines) == 2)

    await play(story)


async def test_what_was_said_long_ago_is_no_sign_of_life() -> None:
    """C4: a log that ends with On may be that of an agent which is stuck."""

    async def story(scene: Scene) -> None:
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON)
        scene.agent.is_mute = True
        scene.clock.advance(EVERY)
        sent = len(scene.agent.beats)
        await scene.agent.until(lambda: len(scene.agent.beats) > sent)
        scene.clock.advance(1.0)
        scene.agent.lines[0].snap()
        await scene.agent.until(lambda: len(scene.agent.lines) == 2)
        await asyncio.sleep(3 * EVERY)

    scene = await play(story)

    heard_at = scene.links.heard(POD.uid, NAME).at
    assert heard_at is not None
    assert (scene.clock.now() - heard_at).total_seconds() >= 1.0


async def test_a_link_ends_when_nobody_asks_for_it_any_more() -> None:
    """C9: nothing stays attached by itself; what the agent said is known for a while."""

    async def story(scene: Scene) -> None:
        scene.links.attend(POD, NAME, EXPERIMENT)
        await scene.until(lambda: scene.state() is AgentState.READY)
        scene.clock.advance(11.0)
        await scene.until(lambda: scene.agent.lines[0].is_closed)
        assert scene.state() is AgentState.READY
        scene.clock.advance(700.0)
        another = replace(POD, uid="another")
        await scene.until(lambda: scene.links.attend(another, NAME) or scene.state() is None)

    await play(story)


async def test_the_last_word_of_an_agent_that_has_ended_is_recalled_at_once() -> None:
    """C3: whoever takes the lead decides on what became of the fault, and attaches to nobody for it."""

    async def story(scene: Scene) -> None:
        scene.agent.logged = [READY.line(), ON.line(), OFF.line()]
        await scene.links.recall(POD, NAME, EXPERIMENT)
        assert (scene.state(), scene.agent.lines) == (AgentState.OFF, [])

    await play(story)


async def test_what_was_recalled_of_several_agents_is_known_and_wakes_nobody_again() -> None:
    """C3: a look that follows at once would recall the same again, and so on without a pause."""
    others = [replace(POD, uid=f"uid-{number}") for number in range(3)]

    async def story(scene: Scene) -> None:
        scene.clock.advance(3600.0)
        scene.agent.logged = [OFF.line()]
        for pod in others:
            await scene.links.recall(pod, NAME, EXPERIMENT)
        assert all(scene.links.knows(pod.uid, NAME) for pod in others)
        scene.links.attend(POD, NAME, EXPERIMENT)
        assert all(scene.links.knows(pod.uid, NAME) for pod in others)

    scene = await play(story)

    assert scene.woken[:3] == [EXPERIMENT] * 3
    assert scene.agent.looks <= len(others) + 1


async def test_an_agent_that_is_attended_is_recalled_once_it_has_ended_without_a_last_word() -> None:
    """C18: one that was killed leaves what it said before; that is read once, and then there is no more."""

    async def story(scene: Scene) -> None:
        scene.links.hold(POD, NAME, 3.0)
        await scene.until(lambda: scene.state() is AgentState.ON)
        assert not scene.links.knows(POD.uid, NAME)
        await scene.links.recall(POD, NAME, EXPERIMENT)
        assert scene.links.knows(POD.uid, NAME)

    await play(story)


async def test_a_log_that_could_not_be_read_is_read_again_and_nobody_waits_for_it() -> None:
    """C5: what it said last is asked for until there is an answer, while other agents are beaten for."""

    async def story(scene: Scene) -> None:
        scene.agent.logged = [OFF.line()]
        scene.agent.is_log_there = False
        await scene.links.recall(POD, NAME, EXPERIMENT)
        assert not scene.links.knows(POD.uid, NAME)
        scene.agent.is_log_there = True
        looks = scene.agent.looks
        await scene.links.recall(POD, NAME, EXPERIMENT)
        assert scene.agent.looks == looks
        await scene.until(lambda: scene.links.knows(POD.uid, NAME))
        assert (scene.state(), scene.agent.lines) == (AgentState.OFF, [])

    scene = await play(story)

    assert scene.woken == [EXPERIMENT]


class Journal:
    """An actuator that notes what it was given."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.acted: list[str] = []

    async def act(self, action: object, _now: object) -> Outcome:
        self.acted.append(type(action).__name__)
        return self.outcome


@pytest.mark.parametrize(("verb", "is_attended"), [(Verb.DONE, True), (Verb.REFUSED, False)])
async def test_an_agent_is_attended_once_it_was_started(verb: Verb, *, is_attended: bool) -> None:
    """C2: one that was refused is nobody."""

    async def story(scene: Scene) -> None:
        hands = Hands(Journal(Outcome(verb)), scene.links)
        outcome = await hands.act(StartAgent("1", POD, NAME, Order("slow", 1, "dns", {}, 5.0)), NOON)
        await asyncio.sleep(3 * EVERY)
        assert (outcome.verb, bool(scene.agent.lines)) == (verb, is_attended)

    await play(story)


async def test_only_what_is_told_to_agents_stays_with_us() -> None:
    """Beats and their end go over the link; all else is the API server's to do."""
    journal = Journal(Outcome(Verb.DONE))

    async def story(scene: Scene) -> None:
        hands = Hands(journal, scene.links)
        for action in (HoldAgent("1", POD, NAME, 3.0), StopAgent("2", POD, NAME), DeletePod("3", POD)):
            assert (await hands.act(action, NOON)).verb is Verb.DONE

    await play(story)

    assert journal.acted == ["DeletePod"]
