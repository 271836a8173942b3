"""Render a report as one HTML file that needs nothing beside it: no network, no other file."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

from evaluate.page.blocks import Block, Figure, Fold, Section, Table, Text

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --muted: #5f6368; --paper: #fff; --line: #dcdfe3;
  --soft: #f5f6f8; --link: #0b57a4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --muted: #a2a8b0; --paper: #15171a;
  --line: #383c42; --soft: #1e2125; --link: #7fb8f5 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1.2rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .2rem 0 1rem }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
a { color: var(--link) }
code { font: .92em ui-monospace, monospace; background: var(--soft); padding: .05em .25em;
  border-radius: 3px }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; font-size: .85rem }
pre code { background: none; padding: 0 }
.wide { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .32rem .65rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line) }
th { color: var(--muted); font-weight: 600; cursor: pointer; user-select: none;
  vertical-align: bottom; white-space: normal; min-width: 4.2rem }
th.n, td.n { text-align: right }
th[aria-sort=ascending]::after { content: " \\25B4" }
th[aria-sort=descending]::after { content: " \\25BE" }
figure { margin: 1rem 0 }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px }
figcaption { color: var(--muted); font-size: .88rem; margin-top: .4rem }
details { border-top: 1px solid var(--line); padding: .1rem 0 }
details > details, details details { margin-left: .8rem }
summary { cursor: pointer; padding: .55rem 0; font-weight: 600 }
@media (max-width: 600px) { .sheet { overflow-x: auto }
  .sheet img { max-width: none; width: 620px }
  table { font-size: .78rem } th, td { padding: .3rem .35rem } th { min-width: 0 } }
"""
SORT = """
for (const th of document.querySelectorAll("th")) th.onclick = () => {
  const body = th.closest("table").tBodies[0], column = th.cellIndex;
  const down = th.getAttribute("aria-sort") !== "descending";
  const value = row => { const text = row.cells[column].textContent;
    const number = parseFloat(text); return isNaN(number) ? text : number };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : typeof a === "number" ? 1 : typeof b === "number" ? -1 : a.localeCompare(b);
  const rows = [...body.rows].sort((a, b) => compare(value(a), value(b)) * (down ? -1 : 1));
  body.append(...rows);
  for (const other of th.parentNode.cells) other.removeAttribute("aria-sort");
  th.setAttribute("aria-sort", down ? "descending" : "ascending");
};
"""
WIDE = 700  # pixels; a wider figure is not shrunk to the width of a telephone, but scrolled
_MARKDOWN = MarkdownIt("commonmark", {"html": False})


def render(title: str, sections: Sequence[Section], figures: Path) -> str:
    """Return the whole page; the figures of the folder become data URIs."""
    parts = []
    for section in sections:
        if section.title:
            parts.append(f"<h2>{_inline(section.title)}</h2>")
        parts += [_block(block, figures) for block in section.blocks]
    body = "\n".join([f"<h1>{_inline(title)}</h1>", *parts])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n"
        f"<script>{SORT}</script>\n</body>\n</html>\n"
    )


def _block(block: Block, figures: Path) -> str:
    match block:
        case Text():
            return _MARKDOWN.render(block.markdown).strip()
        case Table():
            return _table(block)
        case Figure():
            return _figure(block, figures)
        case Fold():
            inside = "\n".join(_block(inner, figures) for inner in block.blocks)
            title = f"<summary>{_inline(block.title)}</summary>"
            return f"<details>{title}\n{inside}\n</details>"


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        marks = ["" if column < table.num_text else ' class="n"' for column in range(len(cells))]
        return "".join(
            f"<{tag}{mark}>{_inline(cell)}</{tag}>" for mark, cell in zip(marks, cells, strict=True)
        )

    body = "\n".join(f"<tr>{row(cells, 'td')}</tr>" for cells in table.rows)
    head = f"<thead><tr>{row(table.header, 'th')}</tr></thead>"
    return f'<div class="wide"><table>{head}\n<tbody>\n{body}\n</tbody></table></div>'


def _figure(figure: Figure, figures: Path) -> str:
    from PIL import Image

    path = figures / figure.file
    with Image.open(path) as image:
        width, height = image.size
    kind = ' class="sheet"' if width > WIDE else ""
    data = b64encode(path.read_bytes()).decode("ascii")
    image = (
        f'<img alt="{escape(figure.file)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{data}">'
    )
    caption = f"<figcaption>{_inline(figure.caption)}</figcaption>"
    return f"<figure><div{kind}>{image}</div>{caption}</figure>"


def _inline(text: str) -> str:
    return _MARKDOWN.renderInline(text)
