"""Devices are counted as the worker sees them."""

import pytest

from flows.devices import beside, places


def test_devices_are_those_that_the_worker_sees() -> None:
    assert places(4, None, {"CUDA_VISIBLE_DEVICES": "2, 5"}) == ["2", "5"]
    assert places(4, [1], {"CUDA_VISIBLE_DEVICES": "2,5"}) == ["5"]
    assert places(4, [0, 5], {}) == ["0", "5"]
    # A worker that may see none: the CPU.
    assert places(2, None, {"CUDA_VISIBLE_DEVICES": ""}) == [None, None]


@pytest.mark.parametrize(
    ("gpus", "visible", "words"),
    [
        ([1, 1], {}, "names a device twice"),
        ([0, 2], {"CUDA_VISIBLE_DEVICES": "2,5"}, "shows 2 devices"),
        ([0], {"CUDA_VISIBLE_DEVICES": ""}, "shows 0 devices"),
    ],
)
def test_devices_that_are_not_there_are_refused(
    gpus: list[int], visible: dict[str, str], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        places(1, gpus, visible)


@pytest.mark.parametrize(
    ("threads", "cores", "stages"), [(1, 2, 2), (2, 2, 1), (2, 5, 2), (4, 2, 1), (1, 1, 1)]
)
def test_stages_beside_each_other_have_a_core_for_every_thread(threads, cores, stages) -> None:
    assert beside(threads, cores) == stages
