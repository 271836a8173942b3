"""What a deployment takes, and what could break a command line or mean something else to DVC."""

import pytest
from pydantic import TypeAdapter, ValidationError

from flows.parameters import Folder, Gpus, Minutes, Override, SetName, StageName


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SetName, "palette_da"),
        (StageName, "segment@semi-0"),
        (StageName, "report"),
        (Folder, "/big disk/weekend-1"),
        (Override, "painters.spade.generator_lr=2e-4"),
        (Override, "report.seeds=[0,1,2]"),
        (Override, "+sets.riders={layouts:real,painter:spade,num_pairs:9}"),
        (Override, "dataset.root=data/raw/leaves"),
        (Override, "segment.crop=null"),
        (Gpus, [0, 3]),
        (Minutes, 15),
    ],
)
def test_allowed(kind: object, value: object) -> None:
    assert TypeAdapter(kind).validate_python(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SetName, "semi;ls"),
        (SetName, "semi\n"),
        (SetName, "../semi"),
        (StageName, "--force"),
        (StageName, "a b"),
        (Folder, "a;b"),
        (Folder, "-rf"),
        (Override, "painters.spade.width"),
        (Override, "layouts=$(id)"),
        (Override, "a.b=x;ls"),
        (Override, "a.b=real --out elsewhere"),
        (Override, "a.b=1\nc=2"),
        # A sweep: two experiments behind one name.
        (Override, "a.b=1,2"),
        (Override, "--queue"),
        (Gpus, []),
        (Gpus, [-1]),
    ],
)
def test_refused(kind: object, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)
