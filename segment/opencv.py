"""Make OpenCV load on a machine without a desktop, before MMSegmentation fails on it with a page.

`opencv-python`, which MMCV asks for by name, wants the libraries of windows (libGL, libgthread);
a slim image has none. `opencv-python-headless` is the same module without windows. It is laid over
the other and leaves its name in place, so that `pip check` and a later `pip install` find all well.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from data.stage.cli import run
from data.stage.errors import UserError

LOAD = (sys.executable, "-c", "import cv2")


def main() -> None:
    """Check that OpenCV can be loaded; where a system library lacks, install it without windows.

    Raises `UserError` when that does not help.
    """
    import typer

    if not (lacks := missing()):
        return
    headless = f"opencv-python-headless=={installed()}"
    typer.echo(f"OpenCV cannot be loaded ({lacks}): installing {headless}, without windows")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall")
    done = subprocess.run((*pip, headless), check=False)
    lacks = missing()
    if done.returncode or lacks:
        raise UserError(
            f"OpenCV cannot be loaded ({lacks}), and {headless} does not help; on Debian and "
            "Ubuntu its system libraries come with: apt-get install libgl1 libglib2.0-0"
        )


def check() -> None:
    """Raise `UserError` when OpenCV cannot be loaded into this process."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"OpenCV cannot be loaded ({error}); `python -m segment.opencv` puts the one without "
            "windows in its place (or, on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0)"
        ) from None


def missing() -> str:
    """Return what a process says that cannot load OpenCV, in one line; nothing when it can."""
    done = subprocess.run(LOAD, capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def installed() -> str:
    """Return the version of OpenCV that is installed."""
    try:
        return version("opencv-python")
    except PackageNotFoundError:
        raise UserError("OpenCV is not installed; run `make venv`") from None


if __name__ == "__main__":
    run(main)
