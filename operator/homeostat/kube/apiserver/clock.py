"""What time it is for the API server, as the header Date of its answers says, to the second."""

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp

from homeostat.kube.apiserver.credentials import Credentials
from homeostat.ports import Unavailable


async def clock_skew(credentials: Credentials, now: Callable[[], datetime], seconds: float = 5.0) -> float:
    """Say by how many seconds the API server's clock is ahead of `now`. Raises Unavailable.

    Asked by a request of its own, without a token: an answer that refuses has a date as well.
    """
    tls = credentials.tls_context(await credentials.source.identity(renew=False))
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            before = now()
            async with session.get(
                f"{credentials.server}/version",
                ssl=tls if credentials.server.startswith("https:") else True,
                server_hostname=credentials.tls_server_name,
                allow_redirects=False,
            ) as answer:
                middle = before + (now() - before) / 2
                date = parsedate_to_datetime(answer.headers["Date"])
    except (aiohttp.ClientError, OSError, TimeoutError, KeyError, ValueError, TypeError) as error:
        raise Unavailable("the API server does not say what time it is") from error
    # The header is cut off to whole seconds: on average it is half a second behind.
    return (date - middle).total_seconds() + 0.5
