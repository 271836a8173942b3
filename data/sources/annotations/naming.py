"""Which picture an annotation means: by the end of its path, in any case where that is of one."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from data.sources.masks.parts import UPLOADED
from data.sources.reading.walk import nfc
from data.stage.errors import UserError

Tables = tuple[dict[str, set[Path]], dict[str, set[Path]]]
_SCHEME = re.compile(r"[a-z0-9+.-]{2,}://", re.IGNORECASE)


class Finder:
    """Files by the ends of their paths: of a/b/c.png these are c.png, b/c.png and a/b/c.png."""

    def __init__(self, root: Path, files: Iterable[Path]) -> None:
        self.root, self.files = root, list(files)
        self._whole: Tables = ({}, {})
        self._stems: Tables = ({}, {})
        for file in self.files:
            path = file.relative_to(root)
            for name, tables in ((path, self._whole), (path.with_suffix(""), self._stems)):
                for end in _ends(name):
                    tables[0].setdefault(end, set()).add(file)
                    tables[1].setdefault(end.casefold(), set()).add(file)

    def find(self, name: str) -> Path | None:
        """Return the file that the longest end of a name means, None for none.

        An end that several files have is a `UserError`.
        """
        return self._longest(self._whole, PurePosixPath(nfc(name.replace("\\", "/"))))

    def find_stem(self, name: str) -> Path | None:
        """Return what `find` does for a name without extension."""
        return self._longest(self._stems, PurePosixPath(nfc(name.replace("\\", "/"))))

    def _longest(self, tables: Tables, path: PurePosixPath) -> Path | None:
        for table, fold in zip(tables, (str, str.casefold), strict=True):
            for end in reversed(_ends(path)):
                found = table.get(fold(end), set())
                if len(found) > 1:
                    one, other = sorted(found)[:2]
                    raise UserError(
                        f"{str(path)!r} may be {one} or {other}; write more of its folders into "
                        "the annotation, or let dataset.annotations.images match one of them"
                    )
                if found:
                    return next(iter(found))
        return None


def _ends(path: PurePosixPath | Path) -> list[str]:
    parts = [nfc(part) for part in path.parts if part not in ("/", "..", ".")]
    return ["/".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]


def without_address(name: str) -> str:
    """Return the path in an address (https://, s3://, /data/local-files/?d=...), else the name."""
    if not _SCHEME.match(name) and "?d=" not in name:
        return name
    parts = urlsplit(name)
    asked = parse_qs(parts.query).get("d")
    return asked[0] if asked else unquote(parts.path)


def as_uploaded(name: str) -> str:
    """Return a name without the eight digits that Label Studio puts before those of uploads."""
    path = PurePosixPath(name)
    return path.with_name(UPLOADED.sub("", path.name)).as_posix() if path.name else name
