#!/usr/bin/env python3
"""Turn the descriptions in `hack/dashboards` into dashboards of Grafana: `hack/gen_dashboards.py [--check]`."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from dashboards.boards import CHAOS, FLEET, RECOVERY, SLO  # noqa: E402 - found by the line above
from dashboards.operator_board import OPERATOR  # noqa: E402
from dashboards.panels import rendered  # noqa: E402

FOLDER = HERE.parent / "charts" / "homeostat" / "files" / "dashboards"
DASHBOARDS = (FLEET, SLO, RECOVERY, CHAOS, OPERATOR)


def files() -> dict[str, str]:
    """Give the text of each file by its name."""
    return {
        f"{one.uid}.json": json.dumps(rendered(one, DASHBOARDS), indent=1, ensure_ascii=False) + "\n"
        for one in DASHBOARDS
    }


def drift(expected: Mapping[str, str], folder: Path) -> list[str]:
    """Name the files of `folder` that are missing, outdated or too many."""
    present = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(name for name in expected.keys() | present.keys() if expected.get(name) != present.get(name))


def main() -> int:
    """Write the dashboards, or with `--check` say which are not what their description says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a dashboard is out of date")
    is_check = parser.parse_args().check
    expected = files()
    stale = drift(expected, FOLDER)
    if is_check and stale:
        print(f"{FOLDER.name} out of date: {', '.join(stale)}: run hack/gen_dashboards.py", file=sys.stderr)
        return 1
    for name in stale:
        path = FOLDER / name
        path.write_text(expected[name]) if name in expected else path.unlink()
        print(f"{'wrote' if name in expected else 'removed'} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
