"""The engine's actuator: an agent is beaten for by its link, all else is the API server's to do."""

from datetime import datetime
from typing import Final

from homeostat.core.action import Action, HoldAgent, Outcome, StartAgent, StopAgent, Verb
from homeostat.engine.chaos.links import AgentLinks
from homeostat.ports import Actuator

_DONE: Final = Outcome(Verb.DONE)


class Hands:
    """`ports.Actuator` on another one and on the links to agents."""

    def __init__(self, actuator: Actuator, links: AgentLinks) -> None:
        self._actuator = actuator
        self._links = links

    async def act(self, action: Action, now: datetime) -> Outcome:
        """Perform one action. What an agent is to be told is done as soon as its link is to tell it."""
        match action:
            case HoldAgent():
                self._links.hold(action.pod, action.name, action.seconds)
                return _DONE
            case StopAgent():
                self._links.stop(action.pod, action.name)
                return _DONE
            case _:
                outcome = await self._actuator.act(action, now)
        if isinstance(action, StartAgent) and outcome == _DONE:
            self._links.attend(action.pod, action.name)
        return outcome
