"""Parameters: YAML 1.2, every problem named with its path."""

import pytest
from pydantic import Field

from data.stage.errors import UserError
from data.stage.params import Params, check_name, choose, read, read_raw


class Optimizer(Params):
    lr: float = Field(gt=0)
    steps: int


@pytest.fixture
def params_file(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(
        "painters:\n  oasis: {lr: 2e-4, steps: 10}\n  wrong: {lr: 0, stepz: 3}\nsource: no\n"
    )
    return file


def test_a_number_without_a_dot_is_a_float_and_no_is_a_word(params_file):
    assert read("painters.oasis", Optimizer, params_file).lr == 2e-4
    assert read_raw("source", params_file) == "no"


def test_all_problems_of_a_section_are_named_at_once(params_file):
    with pytest.raises(UserError) as caught:
        read("painters.wrong", Optimizer, params_file)
    message = str(caught.value)
    assert "`painters.wrong.lr` = 0" in message and "greater than 0" in message
    assert "`painters.wrong.steps` is missing" in message
    assert "`painters.wrong.stepz` is not a known key" in message
    assert "\n" not in message


def test_a_missing_section_lists_what_there_is(params_file):
    with pytest.raises(UserError, match=r"no `painters\.spade`; painters has oasis, wrong"):
        read("painters.spade", Optimizer, params_file)


def test_broken_yaml_is_one_line(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("a: [1,\nb: 2")
    with pytest.raises(UserError, match="not valid YAML") as caught:
        read_raw("a", file)
    assert "\n" not in str(caught.value)


SCHEDULES = """\
budget: hours
painters:
  spade: {num_images: {minutes: 2, hours: 30}, ema: 0.9}
levels:
  minutes: [[0, 1]]
  hours: [[0, 1], [2, 3]]
sets: {semi: {num_pairs: {hours: 4}}}
"""


def test_what_has_a_value_for_each_budget_follows_the_word(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(SCHEDULES)
    assert read_raw("painters", file) == {"spade": {"num_images": 30, "ema": 0.9}}
    assert read_raw("levels", file) == [[0, 1], [2, 3]]
    assert read_raw("sets.semi", file) == {"num_pairs": {"hours": 4}}, "that is another section"
    file.write_text(SCHEDULES.removeprefix("budget: hours"))
    assert read_raw("painters.spade.num_images", file) == 2


def test_an_unknown_budget_lists_what_there_is(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("budget: days\nlevels: []\n")
    with pytest.raises(UserError, match="`budget` = 'days' is unknown; write minutes or hours"):
        read_raw("levels", file)


@pytest.mark.parametrize("name", ["real; rm -rf x", "Real", "", "a-b", "$(x)", "a\n"])
def test_names_that_could_break_a_command_line_are_refused(name):
    with pytest.raises(UserError, match="not allowed"):
        check_name(name)


def test_an_unknown_name_lists_the_registry():
    with pytest.raises(UserError, match="unknown painter 'oasiss'; there is spade, oasis"):
        choose("oasiss", {"spade": 1, "oasis": 2}, "painter")
