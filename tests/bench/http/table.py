"""What was found, in Markdown that reads as well on a terminal."""

from statistics import median

from tests.bench.extent import Extent
from tests.bench.http.latency import QUANTILES, Latencies
from tests.bench.http.peak import Peaks, Row
from tests.bench.http.sample import CASES

BEST_PYTHON = ("FastAPI", "Starlette", "aiohttp", "Granian, RSGI", "Granian, ASGI")
MOST_MB = 90.0


def grid(heads: list[str], rows: list[list[str]]) -> list[str]:
    """A table; all columns but the first are numbers."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(cells: list[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    return [line(heads), line(rule), *(line(row) for row in rows)]


def peaks(found: Peaks, extent: Extent) -> list[str]:
    """A table for each case, then what its rows are."""
    lines = ["## Answers per second", ""]
    lines += [
        f"Each server has one core to itself, wrk has another: 32 keep-alive connections, "
        f"{extent.seconds} s for each server in each of {extent.rounds} rounds; medians. All send "
        "the same bytes as Freshet. For the fastest servers wrk is close to its own limit of one "
        "core, so the CPU time that the processes of a server need per answer says more about "
        "them.",
        "",
    ]
    for case, sample in found.samples.items():
        path, coding = CASES[case]
        lines += [f"`{path}`, {coding}: a body of {len(sample.body):,} bytes", ""]
        lines += [*_case(found, case), ""]
    lines += ["The servers:", ""]
    lines += [f"- **{row.name}**: {row.about}" for row in found.rows]
    lines += ["", "Memory after the measurement (RSS): "]
    lines[-1] += ", ".join(f"{row.name} {row.memory:.0f} MB" for row in found.rows if row.is_ours)
    lines[-1] += "."
    errors = {row.name: row.errors for row in found.rows if row.errors}
    lines += ["", f"Failed requests: {errors or 'none'}."]
    if left_out := found.left_out + found.broken:
        lines += ["", "Left out:", "", *(f"- {each}" for each in left_out)]
    return [*lines, ""]


def _case(found: Peaks, case: str) -> list[str]:
    freshet = found.rows[0]
    rows = [
        [
            row.name,
            f"{row.rate(case):,.0f}",
            f"{freshet.rate(case) / row.rate(case):.2f}",
            f"{row.cost(case):.1f}",
            f"{row.cost(case) / freshet.cost(case):.2f}",
            f"{row.quantile(case, 'p50'):.2f}",
            f"{row.quantile(case, 'p99'):.2f}",
        ]
        for row in found.rows
    ]
    heads = ["server", "answers/s", "Freshet is × this", "CPU µs per answer", "× Freshet's"]
    return grid([*heads, "p50 ms", "p99 ms"], rows)


def latencies(found: Latencies, seconds: float) -> list[str]:
    """Alone and syncing, and how much slower that is."""
    alone = [found.median_of(found.alone, each) for each in QUANTILES]
    syncing = [found.median_of(found.syncing, each) for each in QUANTILES]
    rows = [
        ["Freshet alone", *(f"{each:.2f}" for each in alone)],
        ["while it syncs", *(f"{each:.2f}" for each in syncing)],
        ["ratio", *(f"{b / a:.2f}" for a, b in zip(alone, syncing, strict=True))],
    ]
    if found.nginx:
        nginx = [found.median_of(found.nginx, each) for each in QUANTILES]
        rows.append(["nginx, from disk", *(f"{each:.2f}" for each in nginx)])
    made = min(each["rate"] for each in found.alone + found.syncing)
    busy = max(each["busy"] for each in found.alone + found.syncing)
    short = (
        ""
        if found.rate == found.wanted
        else f" Half of the peak would be {found.wanted:,.0f}/s, more than one core can generate."
    )
    return [
        "## Latency at a constant rate",
        "",
        f"{found.rate:,.0f} requests per second over 32 connections, evenly spaced, each timed "
        f"from the moment it was due (corrected for coordinated omission); medians of "
        f"{len(found.alone)} alternating rounds of {seconds:g} s; the slowest round reached "
        f"{made:,.0f}/s.{short} The load generator, in C, used at most {busy:.0%} of its core. "
        f"For the second row the server made {found.syncs} syncs of {found.albums:,} albums, one "
        f"after the other, {found.changed:,} of which change every quarter of a second "
        f"({found.failed_syncs} failed, {found.empty_syncs} brought nothing). On a machine with "
        "two cores the stand-in and PostgreSQL share the load's core, at the lowest priority.",
        "",
        f"A program that only reads the clock, alone on a core, lost {median(found.stolen):.1%} of "
        f"the time (median; at most {max(found.stolen):.1%}) to other programs or the host, in "
        "gaps of 0.5 ms or more. Requests that are due in such a gap wait, whichever server "
        "answers them.",
        "",
        *grid(["", "p50 ms", "p99 ms", "p99.9 ms"], rows),
        "",
        found.burst,
        "",
    ]


def processes(found: dict[int, float]) -> list[str]:
    rows = [
        [f"{count} process{'es' if count > 1 else ''}", f"{rate:,.0f}", f"{rate / found[1]:.2f}"]
        for count, rate in found.items()
    ]
    about = "The processes share all cores with the load, which limits them on a machine with two."
    heads = ["Freshet", "answers/s", "× one process"]
    return ["## Processes", "", about, "", *grid(heads, rows), ""]


def goals(found: Peaks, times: Latencies | None) -> list[str]:
    """Each with what was reached."""
    lines = ["## Goals", ""]
    for case in ("plain", "gzip"):
        if case in found.samples:
            lines += _rates(found, case)
    lines.append(
        _goal(f"at most {MOST_MB:.0f} MB of memory", found.rows[0].memory, MOST_MB, most=True)
    )
    if times is not None:
        alone = times.median_of(times.alone, "p99")
        ratio = times.median_of(times.syncing, "p99") / alone
        lines.append(_goal("p99 at half load at most 3 ms", alone, 3, most=True))
        lines.append(_goal("p99 while it syncs at most 2 × that", ratio, 2, most=True))
    return [*lines, ""]


def _rates(found: Peaks, case: str) -> list[str]:
    def best(*names: str) -> Row | None:
        rows = [row for row in found.rows if row.name in names]
        return max(rows, key=lambda row: row.rate(case), default=None)

    lines = []
    for least, row, of in (
        (1.0, best("nginx, from disk"), "nginx"),
        (3.0, best(*BEST_PYTHON), "the best Python server"),
        (10.0, best("Tornado, bare handler"), "the bare Tornado handler"),
    ):
        what = f"{CASES[case][1]}: at least {least:g} × {of}"
        if row is None:
            lines.append(f"- {what}: not measured")
        else:
            reached = found.rows[0].rate(case) / row.rate(case)
            cost = row.cost(case) / found.rows[0].cost(case)
            goal = _goal(f"{what} ({row.name})", reached, least, most=False)
            lines.append(f"{goal}; per answer, that takes {cost:.2f} × the CPU time")
    return lines


def _goal(what: str, reached: float, goal: float, *, most: bool) -> str:
    met = reached <= goal if most else reached >= goal
    return f"- {what}: {reached:.2f} ({'met' if met else 'missed'})"
