"""What a survey looks at for an objective, and how soon those with bad events are looked at again (S2, S10)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.objective.watch import WELL, is_troubled, look_again_in, watched

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
CHECK = {"healthCheck": {"name": "web"}}
MEMBERS = {"composite": {"mode": "All", "members": [{"name": "a"}]}}


def spec_of(indicator: dict[str, Any]) -> ServiceLevelObjectiveSpec:
    spec = {"objective": "99.9", "window": {"rolling": "30d"}, "indicator": indicator}
    return ServiceLevelObjectiveSpec.model_validate(spec)


@pytest.mark.parametrize(("troubled", "seconds"), [(0, 10), (1, 10), (1000, 10), (3000, 30), (10_000, 100)])
def test_one_in_trouble_is_looked_at_every_ten_seconds_and_thousands_less_often(troubled: int, seconds: int) -> None:
    """S2: at most a hundred looks a second."""
    assert look_again_in(troubled) == timedelta(seconds=seconds)
    assert look_again_in(troubled, WELL) == timedelta(seconds=max(seconds, 30))


def test_the_pairs_of_an_objective_are_watched_and_ten_minutes_in_which_all_is_bad() -> None:
    """S2, S10."""
    found = watched(spec_of(CHECK), NOW, timedelta(seconds=90))

    assert found is not None
    assert (found.bad_share, found.period, found.interval) == (pytest.approx(0.001), 30 * 86400, 90)
    assert found.pairs[0] == (3600, 300, pytest.approx(14.4))
    assert found.pairs[-1] == (600, 600, pytest.approx(1000))
    assert found.pairs[-1][2] < 1000


def test_a_composite_is_no_survey_s() -> None:
    assert watched(spec_of(MEMBERS), NOW) is None


def test_trouble_is_what_the_shortest_window_shows() -> None:
    def status(*rates: str) -> ServiceLevelObjectiveStatus:
        shown = [{"window": f"{5 * place}m", "rate": rate} for place, rate in enumerate(rates, 1)]
        return ServiceLevelObjectiveStatus.model_validate({"burnRates": shown})

    assert is_troubled(status("0.01", "0"))
    assert not is_troubled(status("0", "3"))
    assert not is_troubled(status())
