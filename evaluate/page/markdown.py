"""Render a report as markdown, for readers of the repository."""

from collections.abc import Sequence

from evaluate.page.blocks import Block, Figure, Fold, Section, Table, Text


def render(title: str, sections: Sequence[Section]) -> str:
    """Return the whole page; figures lie in the folder figures/ beside it."""
    parts = [f"# {title}"]
    for section in sections:
        if section.title:
            parts.append(f"## {section.title}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def figure(block: Figure) -> str:
    """Return the markdown of a figure: the image with its caption below, both found by file."""
    return f"![{block.file}](figures/{block.file})\n\n*{block.caption}*"


def table(block: Table) -> str:
    """Return a markdown table."""
    rule = ["---"] * block.num_text + ["---:"] * (len(block.header) - block.num_text)
    lines = [block.header, rule, *block.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _block(block: Block) -> str:
    match block:
        case Text():
            return block.markdown
        case Table():
            return table(block)
        case Figure():
            return figure(block)
        case Fold():
            inside = "\n\n".join(map(_block, block.blocks))
            return f"<details>\n<summary>{block.title}</summary>\n\n{inside}\n\n</details>"
