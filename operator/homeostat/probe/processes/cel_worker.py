"""The process that evaluates CEL, and matches what is expensive to match. Started and ended by `cel.py`.

What is evaluated is written by a tenant and looks into what a stranger sent: a few nested `all` over a large body
run for a year, a few `map` of `x + x` fill any memory, and no thread can be stopped. So it happens in here, with a
limit of memory and of processor time for each question, and without anything worth stealing. The process ends with
its parent. It answers one question at a time:

    question: lengths of head and body (two big-endian 32 bit numbers), head (JSON), body (what the server sent)
    reply:    length (one such number), JSON: {"values": [...]} or {"failure": "body" | "expression"}
"""

import gc
import json
import math
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, BinaryIO, Final, NoReturn

from homeostat.probe.expression import compiled
from homeostat.probe.processes.confinement import confine

READY: Final = b"!"
"""What the worker says once it can be asked."""
QUESTION: Final = struct.Struct("!II")
REPLY: Final = struct.Struct("!I")
BODY: Final = "body"
"""Why there is no value: the expression cannot be evaluated over the server's answer, or finds no scalar in it."""
EXPRESSION: Final = "expression"
"""Why there is no value: the expression cannot be compiled, or gives no scalar whatever the answer is."""
CPU_SECONDS: Final = 0.5
"""Processor time for one question; SIGPROF ends the process then."""
MOST_TEXT: Final = 4096
"""Bytes of a text that an expression may give."""

_MOST_MEMORY = 96 << 20  # bytes of addresses; 20 MiB are in use before the first question
_MOST_FILES = 16
_PROGRAMS = 1024
_OF_ANSWER = frozenset({"json", "headers"})
_COLLECT_AFTER = 200_000  # containers; JSON has no cycles, and no body has as many
_EXPENDABLE = 1000  # rather us than anybody


class Failure(Exception):
    """There is no value; the argument is BODY or EXPRESSION."""


class Evaluator:
    """Evaluates expressions over `json`, `status` and `headers`; compiles each once."""

    def __init__(self) -> None:
        cel = _library()
        self._cel = cel
        self._context = cel.Context()
        cel.stdlib.add_stdlib_to_context(self._context)
        self._program: Callable[[str], Any] = lru_cache(_PROGRAMS)(self._compile)
        self._decode = json.JSONDecoder(parse_constant=_refuse_constant).decode

    def answer(self, question: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Give the reply to a question."""
        try:
            return {"values": self._values(question, body)}
        except Failure as failure:
            return {"failure": failure.args[0]}

    def _values(self, question: dict[str, Any], body: bytes) -> list[object]:
        if "pattern" in question:
            return [_matches(question["pattern"], body)]
        return self._evaluate(question["expressions"], question["status"], question["headers"], body)

    def _evaluate(self, expressions: Sequence[str], status: int, headers: dict[str, str], body: bytes) -> list[object]:
        programs = [self._program(expression) for expression in expressions]
        if None in programs:
            raise Failure(EXPRESSION)
        has_json = any("json" in program.variables() for program in programs)
        variables = {"status": status, "headers": headers, "json": self._parsed(body) if has_json else None}
        try:
            self._context.update(variables)
        except Exception as error:  # half a surrogate pair, a number beyond all bounds: nothing CEL has a value for
            raise Failure(BODY) from error
        try:
            return [self._run(program) for program in programs]
        finally:
            self._context.update(dict.fromkeys(variables))  # an answer lives no longer than its run

    def _compile(self, expression: str) -> Any:  # noqa: ANN401 - a program; None when there is none
        try:
            return self._cel.compile(expression)
        except ValueError:
            return None

    def _parsed(self, body: bytes) -> object:
        """Parse a body; of two members with one name the last counts, as with most who read JSON."""
        try:
            return self._decode(body.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise Failure(BODY) from error

    def _run(self, program: Any) -> object:  # noqa: ANN401 - the library's type
        try:
            value = program.execute(self._context)
        except Exception as error:
            raise Failure(_blame(error)) from error
        if not _is_scalar(value):
            # An answer decides what is in it: a service that gives a list for a text must not escape as Invalid.
            raise Failure(EXPRESSION if _OF_ANSWER.isdisjoint(program.variables()) else BODY)
        return value


def main() -> None:
    """Answer questions until the parent is gone."""
    _confine(int(sys.argv[1]))
    evaluator = Evaluator()
    gc.set_threshold(_COLLECT_AFTER)
    with socket.socket(fileno=0) as channel, channel.makefile("rb") as stream:
        channel.sendall(READY)
        for head, body in _questions(stream):
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
            reply = json.dumps(evaluator.answer(json.loads(head), body), allow_nan=False).encode()
            signal.setitimer(signal.ITIMER_PROF, 0)
            channel.sendall(REPLY.pack(len(reply)) + reply)


def _questions(stream: BinaryIO) -> Iterable[tuple[bytes, bytes]]:
    while len(lengths := stream.read(QUESTION.size)) == QUESTION.size:
        head, body = QUESTION.unpack(lengths)
        yield stream.read(head), stream.read(body)


def _confine(parent: int) -> None:
    """Give up what an expression that broke out could use, and end when the parent does."""
    confine(parent, expendable=_EXPENDABLE)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    for limit, most in ((resource.RLIMIT_AS, _MOST_MEMORY), (resource.RLIMIT_NOFILE, _MOST_FILES)):
        resource.setrlimit(limit, (most, most))


def _library() -> Any:  # noqa: ANN401 - the library
    """Import the evaluator without its command line, which would take three times the memory and 0.2 s."""
    sys.modules["cel.cli"] = ModuleType("cel.cli")
    import cel  # noqa: PLC0415 - only once we are confined

    return cel


def _blame(error: Exception) -> str:
    """Say whose fault it is that an evaluation broke off: a misspelt name and a lack of memory are the expression's."""
    text = str(error)
    is_ours = text.startswith("Undefined variable or function") or "MemoryError" in text
    return EXPRESSION if isinstance(error, MemoryError) or is_ours else BODY


def _is_scalar(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value) <= MOST_TEXT and len(value.encode()) <= MOST_TEXT
    return value is None or isinstance(value, (bool, int))


def _matches(pattern: str, text: bytes) -> bool:
    expression = compiled(pattern)
    if expression is None:
        raise Failure(EXPRESSION)
    return expression.search(text) is not None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON


if __name__ == "__main__":
    main()
