"""What benchmarks share: street scenes, the machine in words, a section of a page."""

import datetime
import os
import platform
import re
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from data.pairs.pair import Pair
from data.pairs.pairset import PairSet
from data.pairs.shards import ShardWriter
from data.sources.files import read_image
from data.sources.streets import source as streets
from data.stage.outputs import write_text
from data.stage.progress import Advance


def streets_set(out: Path, size: tuple[int, int], num_pairs: int, advance: Advance) -> PairSet:
    """Render streets of a size (height, width) and write them as a pair set."""
    config = streets.Config()
    with (
        tempfile.TemporaryDirectory() as scratch,
        ShardWriter(
            out, classes=streets.class_table(config), size=size, fingerprint="bench"
        ) as writer,
    ):
        streets.render(Path(scratch), {"train": num_pairs}, height=size[0], width=size[1], seed=0)
        for raw in streets.find(Path(scratch), ["train"], config):
            image, label = np.asarray(read_image(raw.image)), streets.read_label(raw, config)
            writer.write(Pair(raw.id, image, label, "real"))
            advance()
    return PairSet(out)


def machine(load: float, packages: Sequence[str]) -> str:
    """Say when, where and with what was measured; `load` is the load average before the start."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{datetime.date.today()}; {processor()}, {os.cpu_count()} cores, load {load:.1f} before "
        f"the start; Python {platform.python_version()}, {versions}."
    )


def processor() -> str:
    """Return the name of the processor."""
    about = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", about.read_text()) if about.is_file() else None
    return found[1] if found else platform.machine()


def write_section(out: Path, name: str, section: str, *, heading: str = "Benchmarks") -> None:
    """Replace what is between the marks of `name` in a page; without them, append both.

    A page that is not there yet begins with the heading.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    text = out.read_text(encoding="utf-8") if out.is_file() else f"# {heading}\n"
    if begin not in text:
        text += f"\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    write_text(out, f"{before}{begin}\n{section}\n{end}{after}")
