"""The doorway: a user error is one line and status 2."""

import subprocess
import sys

PROGRAM = """
from pathlib import Path
from data.stage.cli import run
from data.stage.errors import UserError

def main(*, out: Path) -> None:
    "Fail as told."
    if out.name == "user":
        raise UserError("size 63x128 is not allowed; use 64x128")
    raise ZeroDivisionError("a fault of the project")

run(main)
"""


def call(*args):
    return subprocess.run([sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True)


def test_a_user_error_is_one_line_without_traceback():
    done = call("--out", "user")
    assert done.returncode == 2
    assert done.stderr == "error: size 63x128 is not allowed; use 64x128\n"


def test_a_fault_keeps_its_traceback():
    done = call("--out", "other")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ZeroDivisionError" in done.stderr


def test_a_wrong_flag_is_named():
    done = call("--outt", "x")
    assert done.returncode == 2
    assert "--outt" in done.stderr and "Traceback" not in done.stderr
