"""All kinds there are, in the order in which documents and commands name them."""

from homeostat.api import chaos, freeze, gameday, health_check, objective, recovery
from homeostat.api.meta import Kind

KINDS: tuple[Kind, ...] = (
    objective.KIND,
    health_check.KIND,
    recovery.KIND,
    chaos.KIND,
    gameday.KIND,
    freeze.KIND,
)
