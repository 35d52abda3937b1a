"""Every reason has a meaning that a person can act on."""

import pytest

from homeostat.core.probing.explanation import explain
from homeostat.core.probing.result import Reason


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained(reason: Reason) -> None:
    assert len(explain(reason)) > 10


def test_what_is_no_reason_has_no_meaning() -> None:
    assert explain("Gremlins") == ""
