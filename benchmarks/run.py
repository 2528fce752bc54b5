"""Times the workloads of benchmarks/workloads/ in this library and in its peers, in turn, and writes docs/benchmarks.md.

    python benchmarks/run.py [--ours WHEEL_OR_FOLDER] [--venvs DIR] [--rounds N] [--only PATTERN] [--before WHEEL_OR_FOLDER]
    python benchmarks/run.py --quick

Environments for the peers are made in DIR on the first run. A full run takes about half an hour on two cores, where
nothing else should run. With --only, or --before (another build of ours, as one more column), the table is printed and nothing is
written. --quick takes under 3 minutes: ours alone, a dozen rows, against the times in benchmarks/reference.json.
"""

import argparse
import datetime
import json
import pathlib
import re
import time

import environments
import measure
import quick
import report
import rows

ROOT = pathlib.Path(__file__).resolve().parents[1]
LONG = 1.0  # seconds of a call, from which on a framework has but one turn at a row


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", help="a wheel, or a folder to import from; what can be imported here by default")
    parser.add_argument("--before", help="another build of ours to compare with")
    parser.add_argument("--venvs", default=str(ROOT / "peers"), help="where the peers' environments are or will be (default: peers/)")
    parser.add_argument("--peers", default="jax,torch,numpy,mlx", help="which to run beside ours; empty for none")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PYTHON", help="an interpreter that has the peer already")
    parser.add_argument("--rounds", type=int, default=1, help="each with processes of their own (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows whose name or theme matches (a regular expression)")
    parser.add_argument("--statistic", choices=["median", "best"], default="median", help="of a turn's calls; best: on a busy machine")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: does everything run and agree? The times mean nothing")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--store-reference", action="store_true", help="after a full run, or with --quick: these are the reference now")
    parser.add_argument("--to", metavar="FOLDER", help="where the report is written (default: docs/, after a full run only)")
    parser.add_argument("--again", metavar="RESULTS", help="write the report again from a run's results.json")
    return parser.parse_args()


def chosen(pattern):
    return {name: row for name, row in rows.load().items() if re.search(pattern, name) or re.search(pattern, row.theme)}


def take_turns(name, kept, workers):
    """Asks the workers for a row, in turn and several times; not again one that cannot, takes long or measures something else than time."""
    asked = list(workers)
    for turn in range(measure.TURNS):
        for worker in list(asked):
            mine = kept.setdefault(worker.name, {"modes": {}})
            said = worker.ask("again" if turn else name)
            if "unsupported" in said:
                mine["unsupported"] = said["unsupported"]
                asked.remove(worker)
                continue
            for mode, times in said.items():
                one = mine["modes"].setdefault(mode, {"median": [], "best": [], "digest": times.get("digest")})
                one["median"].append(times["median"])
                one["best"].append(times["best"])
            if any(times["median"] >= LONG for times in said.values()):
                asked.remove(worker)


def one_round(workers, found, results, order):
    """Asks every framework for every row; a framework that cannot is not asked again."""
    themes = sorted({row.theme for row in found.values()}, key=rows.THEMES.index)
    for theme in themes:
        for name, row in found.items():
            if row.theme != theme:
                continue
            kept = results["rows"].setdefault(name, {})
            take_turns(name, kept, [w for w in order if w.name not in row.without and "unsupported" not in kept.get(w.name, {})])
        for worker in workers.values():  # each theme has processes of its own
            results["versions"][worker.name] = worker.version or results["versions"].get(worker.name)
            worker.stop()
        yield theme


def timed(place, found, count, tiny, save=None):
    """The results of some rounds of rows."""
    results = {"versions": {}, "rows": {}, "date": datetime.date.today().isoformat(), "rounds": count, "machine": report.machine()}
    workers = {name: environments.Worker(name, where, tiny) for name, where in place.items()}
    begun = time.monotonic()
    try:
        for number in range(count):
            order = list(workers.values())
            order = order[number % len(order):] + order[:number % len(order)]
            for theme in one_round(workers, found, results, order):
                results["minutes"] = (time.monotonic() - begun) / 60
                print(f"round {number + 1} of {count}: {theme} ({results['minutes']:.0f} min)", flush=True)
                if save:
                    save.write_text(json.dumps(results, indent=1))
    finally:
        for worker in workers.values():
            worker.stop()
    return results


def main():
    given = options()
    if given.quick:
        raise SystemExit(quick.run(given, environments.places(given)))
    if given.again:
        results = json.loads(pathlib.Path(given.again).read_text())
    else:
        place = environments.places(given)
        save = pathlib.Path(given.venvs) / "results.json"
        save.parent.mkdir(parents=True, exist_ok=True)
        results = timed(place, chosen(given.only), given.rounds, given.tiny, save)
    results["statistic"] = given.statistic
    found = rows.load()
    disagreements = report.disagreements(results, found)
    if not given.to and (given.only or given.before or given.tiny):
        print(report.table(report.summaries(results, found), found, "before" in results["versions"]))
    else:
        report.write(results, found, pathlib.Path(given.to) if given.to else ROOT / "docs")
        if given.store_reference:
            quick.store_peers(report.summaries(results, found), environments.places(given)["ours"])
    for line in disagreements + report.complaints(results):
        print(line)
    raise SystemExit(bool(disagreements))


if __name__ == "__main__":
    main()
