"""List the files of a dataset: each that matches may be read, or an error names it."""

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from data.stage.errors import UserError, some

# What systems and programs lay beside pictures: folders with copies of them, and two files.
HIDDEN = (
    *("__MACOSX", "@eaDir", "@Recycle", "#recycle", "#snapshot", "$RECYCLE.BIN", "lost+found"),
    *("System Volume Information", "Thumbs.db", "desktop.ini"),
)
_HIDDEN = frozenset(name.lower() for name in HIDDEN)


@dataclass(frozen=True)
class Listed:
    """A file that a pattern matches, and what its wildcards stand for.

    `folders` are the names of the folders that match a part with a wildcard, `stands` what the
    wildcards of those parts stand for: of `a/x_rgb/1.png` and `a/*_rgb/*.png`, x_rgb and x.
    """

    path: Path
    folders: tuple[str, ...]
    stands: tuple[str, ...]


@dataclass
class Tally:
    """What was listed so far: images and labels, and what was left out because it is hidden."""

    images: int = 0
    labels: int = 0
    hidden: set[Path] = field(default_factory=set)

    def left_out(self) -> str:
        """Say in one line what hidden files and folders were left out, nothing for none."""
        if not self.hidden:
            return ""
        return f"hidden, and left out: {some(sorted(map(str, self.hidden)))}"


_TALLY: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def tallied() -> Iterator[Tally]:
    """Count what is listed inside the block."""
    tally = Tally()
    token = _TALLY.set(tally)
    try:
        yield tally
    finally:
        _TALLY.reset(token)


def count(images: int, labels: int) -> None:
    """Add to the tally of the block around, if there is one."""
    tally = _TALLY.get()
    if tally is not None:
        tally.images += images
        tally.labels += labels


def nfc(name: str) -> str:
    """Return a name in the form in which names are compared: a Mac writes ü as u and two dots."""
    return unicodedata.normalize("NFC", name)


def without_suffix(name: str, suffix: str) -> str:
    """Return a name in NFC without a suffix at its end, in whatever case that is."""
    name, suffix = nfc(name), nfc(suffix)
    same = suffix and name[-len(suffix) :].lower() == suffix.lower()
    return name[: -len(suffix)] if same else name


def is_hidden(name: str) -> bool:
    """Say whether a file or folder was laid there by a system or program, not by its user."""
    return name.startswith(".") or name.lower() in _HIDDEN


def listed(folder: Path, pattern: str, endings: Sequence[str] = ()) -> list[Path]:
    """Return the files below a folder that match a pattern, see `walk`; sorted by path."""
    return [entry.path for entry in walk(folder, pattern, endings)]


def walk(folder: Path, pattern: str, endings: Sequence[str] = ()) -> list[Listed]:
    """Return the files below a folder that match a pattern of `*`, `?`, `[...]` and `**`.

    A part of the pattern that exists is taken literally; names are compared in NFC, the ending of
    the file whatever its case. Hidden files and folders are left out and tallied; links are
    followed, except in a circle. With `endings`, files with others do not count.

    Raises `UserError` with everything that matches and cannot be read: links to nothing, folders
    that may not be entered, files that may not be read.
    """
    walker = _Walk(endings)
    parts = Path(pattern).parts
    if parts[-1] == "**":
        parts = (*parts, "*")
    walker.enter(folder, parts, (), (), ())
    if walker.faults:
        number = len(walker.faults)
        raise UserError(
            ("" if number == 1 else f"{number} files or folders cannot be read: ")
            + some(walker.faults.values())
            + (" cannot be read" if number == 1 else "")
            + "; let this user read them (chmod, chown), bring back what links name, or take them "
            "out of the dataset"
        )
    tally = _TALLY.get()
    if tally is not None:
        tally.hidden |= walker.hidden
    return [walker.found[path] for path in sorted(walker.found)]


def fixed_part(pattern: str, root: Path) -> Path:
    """Return the folders of a pattern below root that come before its first wildcard."""
    fixed = Path()
    for part in Path(pattern).parts[:-1]:
        if _is_wild(part) and not os.path.lexists(root / fixed / part):
            break
        fixed /= part
    return fixed


def slashed(pattern: str, root: Path) -> str:
    """Return a pattern or path with / for the backslashes of Windows, unless such a name exists."""
    if "\\" not in pattern or os.path.lexists(root / pattern):
        return pattern
    return pattern.replace("\\", "/")


@contextmanager
def permitted() -> Iterator[None]:
    """Turn what the system forbids to read into a `UserError` that names it."""
    try:
        yield
    except PermissionError as error:
        raise UserError(
            f"{error.filename} cannot be read ({error.strerror}); let this user read it (chmod, "
            "chown), or remove it from the dataset"
        ) from None


class _Walk:
    """One walk: files found, what is at fault with its words, what was hidden."""

    def __init__(self, endings: Sequence[str]) -> None:
        self.found: dict[Path, Listed] = {}
        self.faults: dict[str, str] = {}
        self.hidden: set[Path] = set()
        self._endings = tuple(endings)
        self._entries: dict[Path, list[str]] = {}

    def enter(
        self,
        folder: Path,
        parts: tuple[str, ...],
        folders: tuple[str, ...],
        stands: tuple[str, ...],
        above: tuple[str, ...],
    ) -> None:
        """Look for the parts of a pattern in a folder; `above` are the real folders on the way."""
        part, rest = parts[0], parts[1:]
        if part == "**":
            above = (*above, os.path.realpath(folder))
            self.enter(folder, rest, folders, stands, above)
            for name in self._matching(folder, "*"):
                real = os.path.realpath(folder / name)
                if real not in above and self._is_folder(folder / name, is_sure=False):
                    into = (*folders, name), (*stands, name), above
                    self.enter(folder / name, parts, *into)
            return
        literal = os.path.lexists(folder / part)
        for name in [part] if literal else self._matching(folder, part, is_file=not rest):
            if not rest:
                self._take(Listed(folder / name, folders, stands))
            elif self._is_folder(folder / name, is_sure=True):
                wild = not literal and _is_wild(part)
                more = ((name,), (_stands(part, name),)) if wild else ((), ())
                self.enter(folder / name, rest, folders + more[0], stands + more[1], above)

    def _matching(self, folder: Path, part: str, is_file: bool = False) -> list[str]:
        expression = re.compile(_expression(part, is_file))
        names = [entry for entry in self._names(folder) if expression.fullmatch(nfc(entry))]
        if part.startswith("."):
            return names
        hidden = [name for name in names if is_hidden(name)]
        self.hidden |= {folder / n for n in hidden if not is_file or self._has_ending(n)}
        return [name for name in names if not is_hidden(name)]

    def _names(self, folder: Path) -> list[str]:
        if folder not in self._entries:
            try:
                self._entries[folder] = sorted(entry.name for entry in os.scandir(folder))
            except (FileNotFoundError, NotADirectoryError):
                self._entries[folder] = []
            except OSError as error:
                self._fault(folder, str(error.strerror))
                self._entries[folder] = []
        return self._entries[folder]

    def _is_folder(self, path: Path, *, is_sure: bool) -> bool:
        """Say whether a path is a folder; a broken link is a fault where a folder is sure to be."""
        try:
            return stat.S_ISDIR(path.stat().st_mode)
        except OSError as error:
            if is_sure or not path.suffix:
                self._broken(path, error)
            return False

    def _take(self, entry: Listed) -> None:
        if not self._has_ending(entry.path.name):
            return
        try:
            mode = entry.path.stat().st_mode
        except OSError as error:
            self._broken(entry.path, error)
            return
        if stat.S_ISDIR(mode):
            return
        if not stat.S_ISREG(mode):
            self._fault(entry.path, "no regular file")
        elif not os.access(entry.path, os.R_OK, effective_ids=True):
            self._fault(entry.path, "Permission denied")
        else:
            self.found[entry.path] = entry

    def _has_ending(self, name: str) -> bool:
        return not self._endings or Path(name).suffix.lower() in self._endings

    def _broken(self, path: Path, error: OSError) -> None:
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            self._fault(path, f"a link to {path.readlink()}, which is missing")
        else:
            self._fault(path, str(error.strerror))

    def _fault(self, path: Path, reason: str) -> None:
        self.faults[str(path)] = f"{path} ({reason})"


def _is_wild(part: str) -> bool:
    return any(letter in part for letter in "*?[")


def _expression(part: str, is_file: bool) -> str:
    """Return a part of a pattern as a regular expression with a group for every wildcard."""
    ending = re.search(r"\.\w+$", part) if is_file else None
    body = nfc(part[: ending.start()] if ending else part)
    found = ""
    while body:
        bracket = re.match(r"\[(!?)(\]?[^\]]*)\]", body)
        if bracket:
            inside = re.sub(r"([\\\[&~|])", r"\\\1", bracket[2])
            found += f"([{'^' * bool(bracket[1])}{inside}])"
        else:
            found += {"*": "(.*)", "?": "(.)"}.get(body[0], re.escape(body[0]))
        body = body[bracket.end() if bracket else 1 :]
    return f"(?s:{found})" + (f"(?i:{re.escape(nfc(ending[0]))})" if ending else "")


def _stands(part: str, name: str) -> str:
    match = re.fullmatch(_expression(part, is_file=False), nfc(name))
    return "*".join(match.groups()) if match else name
