"""What was found of the growth of costs, and the section of a report that tells it."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.http import machine, table
from tests.bench.http.cores import Cores

HEAD = "## Growth"
START = "start until `/readyz` answers with 200"
FACTOR, NOISE = 2.0, 1.0  # by which a cost may grow; a difference of fewer ms is none
FILLING = (  # which hold more than in the smallest
    "snapshot",
    "at=, releases listed on a past day",
    "`/api/albums/?at=`, a day long past",
    "page of 100 artists, first",
    "page of 100 artists, deep",
)
DEEP = "`/api/albums/?limit=100&cursor=`, deep"
MOST = {START: 3000.0, DEEP: 10.0}  # ms, whatever the size


@dataclass(frozen=True)
class Costs:
    """Milliseconds by size: the medians of all rounds, and the best round, with the least noise."""

    medians: dict[int, float]
    best: dict[int, float]

    @property
    def grows(self) -> bool:
        """Whether the largest takes more than FACTOR times as long, in the median and at best."""
        return all(
            costs[max(costs)] > FACTOR * costs[min(costs)] + NOISE
            for costs in (self.medians, self.best)
        )


@dataclass
class Findings:
    """Costs by section and part; `memory` and `disk` are in MB by size."""

    sections: dict[str, dict[str, Costs]] = field(default_factory=dict)
    memory: dict[int, float] = field(default_factory=dict)
    disk: dict[int, float] = field(default_factory=dict)

    def note(self, section: str, name: str, times: dict[int, list[float]]) -> None:
        """Take all rounds but the first, if there are more; `times` are in milliseconds."""
        counted = {size: each[1:] or each for size, each in times.items()}
        medians = {size: median(each) for size, each in counted.items()}
        best = {size: min(each) for size, each in counted.items()}
        self.sections.setdefault(section, {})[name] = Costs(medians, best)
        shown = "  ".join(f"{medians[size]:9.2f} {best[size]:9.2f}" for size in times)
        print(f"  {shown}  {name}", flush=True)

    @property
    def missed(self) -> list[str]:
        """What even the best rounds miss: costs that grow, or are more than MOST."""
        parts = [each for section in self.sections.values() for each in section.items()]
        grown = [
            f"{name} takes {_ratio(costs.medians)} times as long"
            for name, costs in parts
            if costs.grows and name not in FILLING
        ]
        slowest = {name: max(costs.best.values()) for name, costs in parts if name in MOST}
        late = [name for name, took in slowest.items() if took > MOST[name]]
        return grown + [f"{name} takes {slowest[name]:.0f} ms" for name in late]


def report(found: Findings, rounds: int, starts: int, command: str) -> str:
    """Tell in Markdown what was found."""
    sizes = list(found.disk)
    spelled = [f"{size:,}".replace(",", " ") for size in sizes]
    lines = [HEAD, "", *machine.describe(Cores(), command)]
    lines += [f"- load average of the last 15 minutes: {os.getloadavg()[2]:.0f}", ""]
    lines += [
        f"Catalogues of {', '.join(spelled)} releases, with ten listings and ten entries of the "
        f"journal for each, measured by turns: medians of {rounds} rounds, of {starts} for "
        "commands, in ms. `best` is the fastest round in the largest one, and the last column that "
        "by the fastest in the smallest one, because other programs use the machine, too. The "
        "smallest holds fewer releases than a snapshot and the list of a day may have, and fewer "
        "of each artist, so these are also given for 1 000 releases. PostgreSQL is the embedded "
        "one, as Freshet starts it.",
        "",
        f"Goals: at most {FACTOR:g} times as long in the largest as in the smallest, ready within "
        f"{MOST[START] / 1000:g} s, a deep page within {MOST[DEEP]:g} ms. Missed by the medians "
        f"and by the best rounds: {'; '.join(found.missed) or 'none'}.",
        "",
    ]
    heads = ["", *spelled, "ratio", "best", "ratio"]
    for section, parts in found.sections.items():
        rows = [
            [
                name,
                *(f"{costs.medians[size]:.1f}" for size in sizes),
                _ratio(costs.medians),
                f"{costs.best[sizes[-1]]:.1f}",
                _ratio(costs.best),
            ]
            for name, costs in parts.items()
        ]
        lines += [f"### {section}", "", *table.grid(heads, rows), ""]
    held = {"memory of the server": found.memory, "tables and indexes": found.disk}
    rows = [
        [name, *(f"{megabytes[size]:,.0f}" for size in sizes), _ratio(megabytes)]
        for name, megabytes in held.items()
    ]
    lines += ["### Memory and disk", "", *table.grid(["MB", *spelled, "ratio"], rows), ""]
    return "\n".join(lines)


def _ratio(costs: dict[int, float]) -> str:
    least = costs[min(costs)]
    return f"{costs[max(costs)] / least:.2f}" if least else "–"


def read(file: Path | None) -> str:
    """Return the section on growth of a report, empty if it has none."""
    before = file.read_text(encoding="utf-8") if file is not None and file.exists() else ""
    found = re.search(rf"^{HEAD}$.*?(?=^## |\Z)", before, re.DOTALL | re.MULTILINE)
    return found[0] if found else ""


def write(section: str, file: Path) -> None:
    """Replace the section in a report, or add it at the end."""
    before, former = file.read_text(encoding="utf-8") if file.exists() else "", read(file)
    after = before.replace(former, section + "\n") if former else f"{before}\n{section}"
    file.write_text(after.rstrip() + "\n", encoding="utf-8")
