"""The interpreters that workloads run in: an environment for each peer, made where there is none, and ours."""

import json
import os
import pathlib
import select
import subprocess
import sys
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = {
    "mlx": ["mlx[cpu]", "numpy"],
    "jax": ["jax", "numpy"],
    "torch": ["torch==2.13.0", "numpy"],  # of the builds for CPUs only, where pip is shown their index (PIP_EXTRA_INDEX_URL)
    "numpy": ["numpy", "scipy"],
}
LIMIT = 180  # seconds that one row may take in one framework
LOOK, LOOKS = 0.025, 20  # seconds between two looks at whether a process rests (the system counts in steps of up to 10 ms), and the most of them


def interpreter(folder):
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def environment(folder, packages):
    """The interpreter of the environment in a folder; it is made, with the packages, if there is none."""
    python = interpreter(folder)
    if not python.exists():
        print(f"making {folder} with {', '.join(packages)}", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return str(python)


def ours(build, venvs):
    """(interpreter, environment variables) for a build of ours: a wheel, a folder to import from, or what is importable here."""
    if not build:
        return sys.executable, {}
    build = pathlib.Path(build).resolve()
    if build.suffix == ".whl":
        return environment(venvs / f"ours-{build.stat().st_mtime_ns}", [str(build), "numpy"]), {}
    library = build / "mlx" / "lib" / "libmlx_core.so"
    # A build's module may name its library by the place where it was built, which by now may hold another.
    return sys.executable, {"PYTHONPATH": str(build)} | ({"LD_PRELOAD": str(library)} if library.exists() else {})


def places(options):
    """{framework: (interpreter, environment variables)} for those that a run takes part in."""
    venvs = pathlib.Path(options.venvs).resolve()
    found = {"ours": ours(options.ours, venvs)}
    if options.before:
        found["before"] = ours(options.before, venvs)
    given = dict(pair.split("=", 1) for pair in options.python)
    for name in [] if options.quick else options.peers.split(",") if options.peers else []:
        found[name] = (given.get(name) or environment(venvs / name, PACKAGES[name]), {})
    return found


class Worker:
    """A process of measure.py: rows in, answers out. One that dies or takes too long is started again for the next row."""

    def __init__(self, name, place, tiny=False):
        self.name, self.place, self.tiny, self.process, self.version = name, place, tiny, None, None

    def start(self):
        python, variables = self.place
        environ = {k: v for k, v in os.environ.items() if self.name in ("ours", "before") or k not in ("PYTHONPATH", "LD_PRELOAD")} | variables
        command = [python, str(HERE / "measure.py"), self.name] + (["--tiny"] if self.tiny else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
        self.version = self.line()
        if "version" not in self.version:
            raise SystemExit(f"{self.name} does not start with {python}: {self.version}")

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        said = self.process.stdout.readline() if ready else ""
        if said:
            return json.loads(said)
        why = f"took more than {LIMIT} s" if not ready else f"the process ended: {self.process.communicate()[1][-300:]}"
        self.stop()
        return {"unsupported": why}

    def ask(self, row):
        if self.process is None:
            self.start()
        self.process.stdin.write(row + "\n")
        self.process.stdin.flush()
        said = self.line()
        self.rest()
        return said

    def rest(self):
        """Waits until the process' threads do nothing: some look for work for 0.1 s after the last call, beside whoever is next."""
        used = self.processor_time()
        for _ in range(LOOKS if not self.tiny else 0):
            time.sleep(LOOK)
            before, used = used, self.processor_time()
            if used - before < 0.05 * LOOK:
                break

    def processor_time(self):
        """Seconds that the process' threads have run; 0 where the system does not tell."""
        total = 0
        for file in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat") if self.process else ():
            try:
                total += int(file.read_text().split()[0])
            except (OSError, IndexError):  # a thread that has just ended
                pass
        return total * 1e-9

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                stream.close()
            self.process = None
