"""What a benchmark found: rows, printed as a table and written to build/bench/NAME.json."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what was done (case), by whom (subject), and what was measured."""

    case: str
    subject: str
    metric: str
    value: float
    unit: str


def publish(name: str, rows: Iterable[Row]) -> None:
    """Print the rows as a table and write them as JSON."""
    found = list(rows)
    widths = [max(len(str(getattr(row, column))) for row in found) for column in ("case", "subject", "metric")]
    print()
    for row in found:
        words = (row.case, row.subject, row.metric)
        labels = "  ".join(word.ljust(width) for word, width in zip(words, widths, strict=True))
        print(f"{labels}  {row.value:>12,.3f} {row.unit}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten to {path.relative_to(FOLDER.parents[1])}", flush=True)


def percentile(values: Iterable[float], share: float) -> float:
    """Give the nearest-rank percentile of values; 0 when there are none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
