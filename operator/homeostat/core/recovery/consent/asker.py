"""Who asks: a name that the API server vouches for, or what there is instead, marked as such (R13)."""

from homeostat.core.recovery.seen import Requests

LONGEST = 256
NOT_VERIFIED = " (not verified)"


def asker(requests: Requests) -> str:
    """Name who wrote the annotations: a user, else the program that wrote them."""
    if requests.by and requests.is_verified:
        return requests.by[:LONGEST]
    return f"{(requests.manager or 'somebody')[: LONGEST - len(NOT_VERIFIED)]}{NOT_VERIFIED}"


def is_vouched_for(requests: Requests) -> bool:
    """Whether the API server vouches for the name."""
    return bool(requests.by) and requests.is_verified
