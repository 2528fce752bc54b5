"""What a run found, as tables: ratios to the best peer, rows above 1.0, disagreements; and docs/benchmarks.md."""

import json
import os
import pathlib
import platform
import re
import statistics

import plot
from measure import SECONDS, TURNS, agree

PEERS = ("jax", "torch", "numpy")  # the best of them is what a ratio is to; Apple's wheel has a column of its own
TITLES = {"ours": "ours", "before": "before", "jax": "JAX `jit`", "torch": "PyTorch", "numpy": "NumPy/SciPy", "mlx": "Apple's MLX"}
BOUNDS = pathlib.Path(__file__).with_name("bounds.json")
SETS = ("sse4_2", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_int8", "neon", "asimd", "sve")


def machine():
    """What the run was made on, in a line or two."""
    text = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    name = re.search(r"model name\s*:\s*(.*)", text)
    flags = re.search(r"(?:flags|Features)\s*:\s*(.*)", text)
    has = [s for s in SETS if flags and s in flags.group(1).split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return {"cpu": name.group(1) if name else platform.processor(), "cores": os.cpu_count(), "sets": has, "memory": memory,
            "system": f"{platform.system()} {platform.machine()}", "load": os.getloadavg()[0]}


def summaries(results, found):
    """{row: {column: seconds}}: columns are "ours eager", "ours compiled", "jax", ..., and "peer", the best of those that count."""
    answer = {}
    for name, frameworks in results["rows"].items():
        if name not in found:
            continue
        columns = {}
        for framework, kept in frameworks.items():
            times = {mode: statistics.median(one[results["statistic"]]) for mode, one in kept["modes"].items()}
            if framework in ("ours", "before"):
                columns |= {f"{framework} {mode}": t for mode, t in times.items()}
            elif times:
                columns[framework] = min(times.values())
        peers = {p: columns[p] for p in PEERS if p in columns and not found[name].control}
        if peers:
            columns["peer"] = min(peers.values())
            columns["which"] = min(peers, key=peers.get)
        answer[name] = columns
    return answer


def disagreements(results, found):
    """A line for each result that is not what the first framework with one has."""
    lines = []
    for name, frameworks in results["rows"].items():
        first = None
        for framework in sorted(frameworks, key=["numpy", "jax", "torch", "mlx", "before", "ours"].index):
            for mode, one in frameworks[framework]["modes"].items():
                if not one.get("digest"):
                    continue
                if first is None:
                    first = (framework, one["digest"])
                elif not agree(first[1], one["digest"], found[name].tolerance):
                    lines.append(f"WRONG: {name}: {framework} {mode} disagrees with {first[0]}: {str(one['digest'])[:150]} {str(first[1])[:150]}")
    return lines


def complaints(results):
    """What frameworks said about the rows that they do not do."""
    return [f"- {name}: {framework}: {kept['unsupported']}" for name, frameworks in results["rows"].items()
            for framework, kept in frameworks.items() if kept.get("unsupported", "no such feature") != "no such feature"]


def shown(seconds, unit="s"):
    if seconds is None:
        return "-"
    if unit != "s":
        return f"{seconds:.0f} {unit}"
    for name, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or name == "µs":
            return f"{seconds * factor:.3g} {name}" if seconds * factor < 1000 else f"{seconds * factor:.0f} {name}"


def ratio(columns, column, peer="peer"):
    return columns[column] / columns[peer] if column in columns and columns.get(peer) else None


def ratio_text(value):
    if value is None:
        return "-"
    words = f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"  # never 0.00
    return f"**{words}**" if value > 1 else words


def table(summary, found, before=False):
    columns = ["ours eager", "ours compiled", *(["before eager", "before compiled"] if before else []), "jax", "torch", "numpy", "mlx"]
    titles = [TITLES.get(c, c) for c in columns]
    lines = ["| workload | eager / best | compiled / best | Apple's / best | " + " | ".join(titles) + " |", "|---" * (len(columns) + 4) + "|"]
    for name, row in summary.items():
        ratios = [ratio_text(ratio(row, c)) for c in ("ours eager", "ours compiled")] + [ratio_text(ratio(row, "mlx")).strip("*")]
        times = [shown(row.get(c), found[name].unit) for c in columns]
        lines.append("| " + " | ".join([name, *ratios, *times]) + " |")
    return "\n".join(lines)


def mean(values):
    values = [v for v in values if v]
    return f"{statistics.geometric_mean(values):.2f} ({len(values)} rows)" if values else "-"


def best(row):
    return min((r for r in (ratio(row, "ours eager"), ratio(row, "ours compiled")) if r is not None), default=None)


def bandwidth(summary):
    """GB/s of x + y and of a plain copy of 16Mi floats: what is bound by memory is to be near the latter."""
    size, sums, copy = 4 * 2**24, summary.get("x + y, 16Mi", {}), summary.get("copy into memory at hand, 16Mi", {})
    if "ours eager" not in sums or "peer" not in sums or "peer" not in copy:
        return ""
    ours, best, plain = 3 * size / sums["ours eager"] / 1e9, 3 * size / sums["peer"] / 1e9, 2 * size / copy["peer"] / 1e9
    return f"- Of memory, `x + y` on 16Mi floats moves {ours:.1f} GB/s ({best:.1f} in the best peer); a copy into memory at hand {plain:.1f}.\n"


def opening(results, summary, found):
    """The date, the machine, and the figures that stand for the whole."""
    m = results["machine"]
    versions = ", ".join(f"{TITLES[k].replace('`', '')} {v['version']}" for k, v in results["versions"].items() if v and v["version"])
    timed = {name: row for name, row in summary.items() if found[name].unit == "s"}
    figure = lambda column: mean(ratio(row, column) for row in timed.values())
    load = f" The load average was {m['load']:.1f} at the start: other programs were running, and single figures are not to be trusted." \
        if m["load"] > 1 else ""
    turns = TURNS * results["rounds"]
    return f"""# Benchmarks

Written by `python benchmarks/run.py`: each workload of `benchmarks/workloads/` in this library and in its peers, in processes of their
own, which take turns: {turns} times {SECONDS} s each. A time is that of a call, the {results['statistic']} of a turn's calls and the
median of the turns. Results were compared: a framework that computes something else fails the run. "Best" is the best of JAX `jit`,
PyTorch (eager) and NumPy or SciPy.
Below 1 we are faster. A framework without the feature has "-"; Apple's MLX has the better of its eager and compiled time.

- {results['date']}, {m['cpu']}, {m['cores']} cores, {m['memory']} GiB, {m['system']}, with {' '.join(m['sets']) or 'unknown instruction sets'}.{load}
- {versions}; the run took {results['minutes']:.0f} minutes.
{bandwidth(summary)}
| geometric mean of the ratio to the best peer | |
|---|---|
| ours, eager | {figure('ours eager')} |
| ours, compiled | {figure('ours compiled')} |
| ours, the better of the two | {mean(best(row) for row in timed.values())} |
| Apple's MLX | {figure('mlx')} |

![time against size, and ours against the best peer](benchmarks.svg)
"""


def above(summary, found):
    """The rows in which we are slower than the best peer in both ways."""
    rows = sorted(((best(row), name, row) for name, row in summary.items() if (best(row) or 0) > 1), reverse=True, key=lambda r: r[0])
    lines = [f"\n## Above 1.0\n\n{len(rows)} of {len(summary)} rows, by the better of eager and compiled:\n",
             "| workload | ratio | best peer |", "|---|---|---|"]
    lines += [f"| {name} | {value:.2f} | {TITLES[row['which']]} |" for value, name, row in rows]
    return "\n".join(lines) + "\n" + bounds([name for _, name, _ in rows])


def bounds(names):
    """What is known of these rows, from bounds.json: an entry is written where one of them matches its pattern."""
    left, lines = set(names), []
    for entry in json.loads(BOUNDS.read_text(encoding="utf-8")):
        matching = {name for name in left if re.search(entry["rows"], name)}
        if matching:
            left -= matching
            lines.append(f"- {entry['of']} ({len(matching)}): {entry['bound']}")
    if left:
        lines.append(f"- Not looked into: {'; '.join(name for name in names if name in left)}.")
    return "\n## What bounds them\n\n" + "\n".join(lines) + "\n" if lines else ""


def write(results, found, folder):
    summary = summaries(results, found)
    parts = [opening(results, summary, found), above(summary, found)]
    for theme in dict.fromkeys(found[name].theme for name in summary):
        rows = {name: row for name, row in summary.items() if found[name].theme == theme}
        parts.append(f"\n## {theme.replace('_', ' ').capitalize()}\n\n{table(rows, found)}\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text("".join(parts), encoding="utf-8")
    (folder / "benchmarks.svg").write_text(plot.picture(summary, found), encoding="utf-8")
