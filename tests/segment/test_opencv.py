"""Where the libraries of windows lack, the OpenCV without windows takes its place."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A pip that notes what it is asked, and mends the package beside it or does not.
PIP = """
import sys
from pathlib import Path
beside = Path(__file__).parents[1]
(beside / "asked").write_text(" ".join(sys.argv[1:]))
if {helps}:
    (beside / "cv2" / "__init__.py").write_text("")
"""


def ensure(folder: Path, *, loads: bool, helps: bool) -> subprocess.CompletedProcess[str]:
    """Run the module in an environment whose OpenCV and pip are ours."""
    broken = "raise ImportError('libGL.so.1: cannot open shared object file')"
    for name, file, text in (
        ("cv2", "__init__.py", "" if loads else broken),
        ("pip", "__init__.py", ""),
        ("pip", "__main__.py", PIP.format(helps=helps)),
    ):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / file).write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "segment.opencv"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_where_opencv_loads_nothing_is_installed(tmp_path: Path) -> None:
    done = ensure(tmp_path, loads=True, helps=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("helps", [True, False])
def test_the_one_without_windows_of_the_same_version_is_laid_over_it(tmp_path, helps) -> None:
    done = ensure(tmp_path, loads=False, helps=helps)
    asked = (tmp_path / "asked").read_text().split()
    assert asked[0] == "install" and "--no-deps" in asked
    assert asked[-1] == f"opencv-python-headless=={version('opencv-python')}"
    assert "libGL.so.1" in done.stdout
    assert done.returncode == (0 if helps else 2)
    assert done.stderr.count("\n") == (0 if helps else 1)
    assert ("apt-get install libgl1" in done.stderr) is not helps
