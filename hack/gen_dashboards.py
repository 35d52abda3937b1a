#!/usr/bin/env python3
"""Turn the descriptions in `hack/dashboards` into dashboards of Grafana: `hack/gen_dashboards.py [--check]`."""

import json
import sys

from dashboards.boards import CHAOS, FLEET, RECOVERY, SLO
from dashboards.operator_board import OPERATOR
from dashboards.panels import rendered
from generated import ROOT, Generated, main

FOLDER = ROOT / "charts" / "homeostat" / "files" / "dashboards"
DASHBOARDS = (FLEET, SLO, RECOVERY, CHAOS, OPERATOR)


def generated() -> Generated:
    """Give each dashboard in a file of its name."""
    texts = {
        FOLDER / f"{one.uid}.json": json.dumps(rendered(one, DASHBOARDS), indent=1, ensure_ascii=False) + "\n"
        for one in DASHBOARDS
    }
    return Generated(texts, FOLDER.glob("*.json"))


if __name__ == "__main__":
    sys.exit(main("hack/gen_dashboards.py", __doc__ or "", generated()))
