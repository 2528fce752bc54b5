"""The quick mode: a dozen rows in this library alone, beside the times that are stored, to be run before landing."""

import json
import math
import pathlib
import statistics

import environments
import rows
from measure import TURNS

REFERENCE = pathlib.Path(__file__).resolve().parent / "reference.json"
ROUNDS, ALLOWED = 3, 1.25


def measure(place):
    """{row: {mode: seconds}} and the seconds of the calibration, the best of the rounds."""
    chosen = {name: row for name, row in rows.load().items() if row.quick}
    found, calibrations = {}, []
    for _ in range(ROUNDS):
        worker = environments.Worker("ours", place)
        for name in chosen:
            for turn in range(TURNS):
                said = worker.ask("again" if turn else name)
                if "unsupported" in said:
                    raise SystemExit(f"{name}: {said['unsupported']}")
                for mode, times in said.items():
                    kept = found.setdefault(name, {})
                    kept[mode] = min(times["best"], kept.get(mode, math.inf))
            calibrations.append(worker.ask("calibration")["seconds"])
        worker.stop()
    return found, min(calibrations)


def run(options, places):
    """Prints the comparison; 1 if a row is slower than allowed."""
    found, calibration = measure(places["ours"])
    stored = json.loads(REFERENCE.read_text()) if REFERENCE.exists() else {"calibration": calibration, "rows": {}}
    pace = calibration / stored["calibration"]
    print(f"the machine is {pace:.2f} times as slow as at the reference (its times below are multiplied by that)")
    print(f"{'row':62}{'mode':10}{'us':>12}{'reference':>12}{'ratio':>8}{'to best peer':>14}")
    ratios = []
    for name, modes in found.items():
        before = stored["rows"].get(name, {})
        for mode, seconds in modes.items():
            line = f"{name:62}{mode:10}{seconds * 1e6:12.2f}"
            if mode in before:
                ratios.append(seconds / (before[mode] * pace))
                line += f"{before[mode] * pace * 1e6:12.2f}{ratios[-1]:8.2f}"
                line += f"{seconds / (before['peer'] * pace):14.2f}" if before.get("peer") else ""
                line += "   slower" if ratios[-1] > ALLOWED else ""
            print(line)
    if ratios:
        print(f"geometric mean of the ratios: {statistics.geometric_mean(ratios):.3f}; {ALLOWED} is allowed")
    if options.store_reference:
        for name, modes in found.items():
            peer = stored["rows"].get(name, {}).get("peer")
            stored["rows"][name] = modes | ({"peer": peer * pace} if peer else {})
        stored["calibration"] = calibration
        REFERENCE.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
        return 0
    return int(any(ratio > ALLOWED for ratio in ratios))


def store_peers(summary, place):
    """The best peer's times of a full run join the reference; called right after it, on the same machine."""
    found, calibration = measure(place)
    kept = {name: modes | ({"peer": summary[name]["peer"]} if "peer" in summary.get(name, {}) else {}) for name, modes in found.items()}
    REFERENCE.write_text(json.dumps({"calibration": calibration, "rows": kept}, indent=1, sort_keys=True) + "\n")
