"""Whatever a public function is called with, it returns or raises an exception that says what was wrong: random_calls.py."""

import pathlib
import subprocess
import sys


def test_no_call_ends_the_process_or_raises_what_nobody_expects(run_all, request):
    seed = int(request.config.getoption("--strata").encode().hex()[:6], 16)
    program = pathlib.Path(__file__).with_name("random_calls.py")
    run = subprocess.run([sys.executable, program, str(seed), "200" if run_all else "20"], capture_output=True, text=True)
    assert run.returncode == 0, (run.returncode, run.stderr[-600:])
    *surprises, last = run.stdout.splitlines()
    assert not surprises
    assert int(last.removeprefix("calls: ")) > 8000
