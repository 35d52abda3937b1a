"""What commands about the past have in common: where the store is, and when something was."""

import argparse
import os
from datetime import UTC, datetime

from homeostat.cli.arguments import BadArguments

STORE_URL = "sqlite+aiosqlite:///homeostat.db"
"""The default of the operator's setting."""


def add_store_url(parser: argparse.ArgumentParser) -> None:
    """Let a command be told where the store is."""
    parser.add_argument(
        "--store-url",
        default=os.environ.get("HOMEOSTAT_STORE_URL") or STORE_URL,
        help="where history is kept (default: $HOMEOSTAT_STORE_URL, else %(default)s)",
    )


def store_url(given: str) -> str:
    """Read a URL of a store as the operator would. Raises BadArguments."""
    from pydantic import ValidationError  # noqa: PLC0415 - `--help` waits for neither

    from homeostat.wiring.settings import Settings  # noqa: PLC0415

    try:
        return Settings.model_validate({"store_url": given}).store_url
    except ValidationError as error:
        told = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise BadArguments(f"--store-url: {told}") from error


def moment(text: str, now: datetime) -> datetime:
    """Read `24h` as that long ago, else a time. Raises BadArguments."""
    from homeostat.api.meta import parse_duration  # noqa: PLC0415 - `--help` does not wait for it

    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    except OverflowError as error:
        raise BadArguments(f"{text!r} is longer ago than time goes") from error
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadArguments(f"{text!r} is neither a duration (24h, 7d) nor a time (2026-11-21T12:00:00Z)") from error
    return max(told if told.tzinfo else told.replace(tzinfo=UTC), datetime.fromtimestamp(0, UTC))
