"""Looks into what a server answered: text, RE2 and CEL over its body, RE2 over its headers.

Only a reason leaves (H9). What may take long is done in another process: matching is linear in time, but a large
expression over a large body takes half a second, and the event loop has better things to do.
"""

from collections import defaultdict
from typing import Final

from homeostat.core.probing.request import Content
from homeostat.core.probing.result import Reason
from homeostat.probe.expression import as_utf8, compiled
from homeostat.probe.http.answer import Answer
from homeostat.probe.processes.cel import CelProcess

_MOST_WORK: Final = 1 << 20  # instructions times bytes, at most 3 ms
_MOST_VALUES: Final = 64  # of one header that are looked at


class ContentJudge:
    """Says whether an answer is what was expected. `cel` evaluates expressions, and closes itself."""

    def __init__(self, cel: CelProcess) -> None:
        self._cel = cel

    async def judge(self, content: Content, answer: Answer, deadline: float) -> Reason:
        """Give OK, or why not; before `deadline` (monotonic seconds). The cheapest is looked at first."""
        patterns = (content.matches, *(pattern for _, pattern in content.headers))
        if any(pattern and compiled(pattern) is None for pattern in patterns):
            return Reason.INVALID_EXPRESSION
        if content.contains.encode() not in answer.body:
            return Reason.UNEXPECTED_BODY
        return (
            await self._judge_headers(content, answer, deadline)
            or await self._judge_match(content, answer, deadline)
            or await self._judge_json(content, answer, deadline)
            or Reason.OK
        )

    async def _judge_headers(self, content: Content, answer: Answer, deadline: float) -> Reason | None:
        if not content.headers:
            return None
        values = defaultdict(list)
        for name, value in answer.headers:
            values[name].append(value)
        for name, pattern in content.headers:
            found = await self._any_matches(pattern, values[name.lower()][:_MOST_VALUES], deadline)
            if found is not True:
                return found or Reason.UNEXPECTED_HEADER
        return None

    async def _any_matches(self, pattern: str, values: list[str], deadline: float) -> bool | Reason:
        for value in values:
            found = await self._matches(pattern, value.encode("latin-1"), deadline)
            if found:
                return found
        return False

    async def _judge_match(self, content: Content, answer: Answer, deadline: float) -> Reason | None:
        found = await self._matches(content.matches, answer.body, deadline)
        return None if found is True else found or Reason.UNEXPECTED_BODY

    async def _judge_json(self, content: Content, answer: Answer, deadline: float) -> Reason | None:
        if not content.json:
            return None
        values = await self._cel.evaluate((content.json,), answer, deadline)
        if isinstance(values, Reason):
            return values
        # What is not a bool depends on the body as well: a service that answers otherwise must not escape as Invalid.
        return None if values[0] is True else Reason.UNEXPECTED_BODY

    async def _matches(self, pattern: str, text: bytes, deadline: float) -> bool | Reason:
        expression = compiled(pattern) if pattern else None
        if expression is None:
            return True
        text = as_utf8(text)
        if expression.programsize * len(text) > _MOST_WORK:
            return await self._cel.matches(pattern, text, deadline)
        return expression.search(text) is not None
