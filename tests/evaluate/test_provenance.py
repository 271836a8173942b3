"""What a report says it was made with."""

from pathlib import Path

from evaluate.page.provenance import used_params

PARAMS = """\
dataset: {source: streets}
segment: {arch: a}
report: {}
layouts: {semantic_palette: {latent: 4}}
train: {adaptive: {leaning: {layouts: semantic_palette}, other: {layouts: cgan}}}
adaptive: {leaning: {power: 0.5}, other: {power: 1.0}, idle: {power: 0.1}}
sets:
  lent: {layouts: leaning, painter: spade}
rows:
  real: {}
  lent: {with: [lent], adapt: advent}
  other: {with: [lent]}
adapt: {none: {}, advent: {weight: 0.01}}
"""


def test_adaptive_palettes_are_named_with_their_numbers_where_a_set_uses_them(
    tmp_path: Path, monkeypatch
):
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path)
    found = used_params(["real", "lent"])
    assert found["adaptive"] == {"leaning": {"layouts": "semantic_palette", "power": 0.5}}
    assert found["rows"] == {"real": {}, "lent": {"with": ["lent"], "adapt": "advent"}}
    assert found["adapt"] == {"advent": {"weight": 0.01}}
    assert "adapt" not in used_params(["real"])
    (tmp_path / "params.yaml").write_text(PARAMS.replace("layouts: leaning", "layouts: real"))
    assert "adaptive" not in used_params(["real"]), "reports without them stay what they were"
