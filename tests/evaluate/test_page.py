"""Two renderers of the same blocks."""

import numpy as np
import pytest
from PIL import Image

from evaluate.page import html, markdown
from evaluate.page.blocks import (
    Figure,
    Fold,
    Section,
    Table,
    Text,
    bullets,
    figures_of,
    text,
    without_empty,
)


@pytest.fixture
def figures(tmp_path):
    for name, width in (("narrow.png", 40), ("wide.png", 900)):
        Image.fromarray(np.zeros((5, width, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


BLOCKS = [
    Text("A **bold** word, `code` and a <tag>."),
    Table(["row", "gain"], [["`a`", "+1.0 [-1, +2]"], ["`b`", "-0.5"]]),
    Fold("More of it", [Figure("s", "wide.png", "All of `a`."), Fold("Deeper", [Text("End.")])]),
    Figure("s", "narrow.png", "Narrow."),
]


def test_markdown_by_hand():
    assert markdown.render("Title", [Section("", BLOCKS[:2]), Section("Next", BLOCKS[2:])]) == (
        "# Title\n\n"
        "A **bold** word, `code` and a <tag>.\n\n"
        "| row | gain |\n| --- | ---: |\n| `a` | +1.0 [-1, +2] |\n| `b` | -0.5 |\n\n"
        "## Next\n\n"
        "<details>\n<summary>More of it</summary>\n\n"
        "![wide.png](figures/wide.png)\n\n*All of `a`.*\n\n"
        "<details>\n<summary>Deeper</summary>\n\nEnd.\n\n</details>\n\n</details>\n\n"
        "![narrow.png](figures/narrow.png)\n\n*Narrow.*\n"
    )


def test_html_says_the_same_and_escapes_what_is_no_markup(figures):
    page = html.render("A & B", [Section("", BLOCKS[:2]), Section("Next", BLOCKS[2:])], figures)
    assert "<title>A &amp; B</title>" in page and "<h1>A &amp; B</h1>" in page
    assert "<p>A <strong>bold</strong> word, <code>code</code> and a &lt;tag&gt;.</p>" in page
    assert '<tr><td><code>a</code></td><td class="n">+1.0 [-1, +2]</td></tr>' in page
    assert '<th>row</th><th class="n">gain</th>' in page
    assert "<details><summary>More of it</summary>" in page and page.count("</details>") == 2
    assert '<div class="sheet"><img alt="wide.png" width="900" height="5"' in page
    assert '<div><img alt="narrow.png"' in page
    assert "<figcaption>All of <code>a</code>.</figcaption>" in page


def test_figures_are_found_in_folds():
    assert [figure.file for figure in figures_of(BLOCKS)] == ["wide.png", "narrow.png"]


def test_what_has_no_number_is_no_row_and_no_column():
    table = Table(
        ["row", "a", "b", "c"], [["x", "1", "", ""], ["y", "", "", ""], ["z", "", "", "2"]]
    )
    found = without_empty(table)
    assert found == Table(["row", "a", "c"], [["x", "1", ""], ["z", "", "2"]], 1)


def test_empty_sentences_and_lines_leave_nothing_behind():
    assert text("", "") == [] and bullets(["", ""]) == []
    assert text("One.", "", "Two.") == [Text("One. Two.")]
    assert bullets(["a", "", "b"]) == [Text("* a\n* b")]
