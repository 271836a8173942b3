"""The server answers its own page on this machine, in one line where something is wrong."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from data.stage.errors import UserError
from studio.web import pictures
from studio.web.app import PAGE, build

OURS = {"x-studio": "1"}


@pytest.fixture
def client(shelf):
    return TestClient(build(shelf), base_url="http://127.0.0.1")


def ask(client, what, content, status=200):
    answer = client.post(f"/api/{what}", json=content, headers=OURS)
    assert answer.status_code == status, answer.text
    return answer.json()


def png(width=40, height=30):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_page_and_all_it_loads_are_there_and_nothing_comes_from_elsewhere(client):
    assert client.get("/").status_code == 200
    for file in PAGE.iterdir():
        text = file.read_text()
        assert client.get(f"/page/{file.name}").text == text
        assert len(text.splitlines()) <= 300
        found = re.findall(r"https?://[^\s\"'`]+", text)
        assert set(found) <= {"http://www.w3.org/2000/svg"}, file.name
        for module in re.findall(r'from "\./(\S+)"', text):
            assert (PAGE / module).is_file()


def test_every_element_that_scripts_name_is_in_the_page():
    page = (PAGE / "index.html").read_text()
    there = set(re.findall(r'\bid="([\w-]+)"', page))
    for file in PAGE.glob("*.js"):
        named = set(re.findall(r'\$\("([\w-]+)"\)', file.read_text()))
        assert named <= there, file.name


def test_a_state_goes_round(client):
    shelf = ask(client, "shelf", {})
    assert shelf["missing"] == [] and shelf["layouts"] == ["semantic_palette", "transplant"]
    assert shelf["painters"] == [
        {"name": "regions", "looks": True, "by_class": True},
        {"name": "spade", "looks": False, "by_class": False},
    ]
    made = ask(client, "scene", shelf["state"])
    assert made["image"].startswith("data:image/png;base64,") and sum(made["asked"]) > 0.99
    assert len(ask(client, "variants", shelf["state"])["variants"]) == 12
    assert ask(client, "edit", shelf["state"])["outside"] == 0
    judged = ask(client, "judge", {"cell": "real/0", "state": shelf["state"]})
    assert judged["nearest"]["id"] in shelf["train"]
    assert (
        client.get("/pair", params={"set": "real/train", "row": 0})
        .headers["content-type"]
        .startswith("image/png")
    )
    assert client.get("/pair", params={"set": "real/train", "row": 99}).status_code == 404
    assert client.get("/api/objects", params={"name": "car"}).json()["total"] > 0
    assert client.get("/report").text == "<h1>the report</h1>"
    assert shelf["pages"] == ["report"]
    assert (
        client.get("/study").text
        == "no study beside these artifacts: run `python -m evaluate.study SET SET`"
    )


def test_kept_sets_are_served(client):
    state = ask(client, "shelf", {})["state"]
    kept = ask(client, "keep", {"set": "mine", "state": state})
    assert kept["set"] in kept["sets"]
    found = ask(client, "gallery", {"set": "kept/mine"})
    assert [item["id"] for item in found["items"]] == [kept["id"]]
    assert ask(client, "state", {"set": "kept/mine", "id": kept["id"]})["state"] == state
    assert client.get("/shard", params={"set": "kept/mine"}).content[:4] == b"PAR1"
    ask(client, "drop", {"set": "real/train", "ids": ["scene-0"]}, 422)
    assert ask(client, "drop", {"set": "kept/mine", "ids": [kept["id"]]})["left"] == 0


@pytest.mark.parametrize(
    ("what", "content", "says"),
    [
        ("scene", {}, "not a state of the studio"),
        ("scene", [1], "not a state of the studio"),
        ("judge", {"cell": "real/0"}, "load the page again"),
        ("keep", {"set": 3}, "load the page again"),
        ("gallery", {"set": "kept/nothing"}, "there is no set"),
        ("gallery", {"set": "/etc"}, "there is no set"),
        ("state", {"set": "kept/../../secret", "id": "x"}, "there is no set"),
        ("nonsense", {}, "load the page again"),
    ],
)
def test_wrong_questions_are_answered_in_one_line(what, content, says, client):
    said = ask(client, what, content, 422)["error"]
    assert says in said and "\n" not in said


def test_a_link_of_other_artifacts_says_what_differs(client):
    state = ask(client, "shelf", {})["state"]
    for key, value in (("layouts", "cgan"), ("painter", "oasis"), ("look", "elsewhere")):
        wrong = {**state, "scene": {**state["scene"], key: value}}
        assert value in ask(client, "scene", wrong, 422)["error"]
    greedy = {**state, "scene": {**state["scene"], "exactly": {"car": 0.6, "sky": 0.6}}}
    assert "leave room for the others" in ask(client, "scene", greedy, 422)["error"]


def test_other_sites_are_refused(client, shelf):
    assert client.post("/api/shelf", json={}).status_code == 422, "without our header"
    foreign = TestClient(build(shelf), base_url="http://example.com")
    assert foreign.get("/").status_code == 400
    assert client.get("/").headers["content-security-policy"].startswith("default-src 'self'")
    assert client.get("/page/../app.py").status_code == 404
    assert client.get("/page/%2e%2e/app.py").status_code == 404


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no intact picture"),
        (b"not a picture", "no intact picture"),
        (png()[:60], "no intact picture"),
        (png(9000, 6000), "9000x6000 pixels, more than 50 million"),
        (b"0" * (pictures.MOST_BYTES + 2), "too much"),
    ],
    ids=["empty", "text", "cut", "huge", "long"],
)
def test_files_that_are_no_pictures_or_too_large_are_refused(content, says, client):
    answer = client.post("/api/judge-file?cell=real/0", content=content, headers=OURS)
    assert answer.status_code == 422 and says in answer.json()["error"]


def test_a_picture_of_any_shape_is_judged(client):
    answer = client.post("/api/judge-file?cell=real/0", content=png(50, 200), headers=OURS)
    assert answer.status_code == 200 and answer.json()["agree"] is None


def test_pictures_are_cut_to_the_shape_that_is_wanted():
    left = Image.new("L", (100, 50))
    left.paste(255, (0, 0, 50, 50))
    buffer = io.BytesIO()
    left.save(buffer, "PNG")
    found = pictures.decode(buffer.getvalue(), (10, 10))
    assert found.shape == (10, 10, 3)
    assert found[:, :5].min() == 255 and found[:, 5:].max() == 0
    with pytest.raises(UserError):
        pictures.decode(b"GIF89a", (10, 10))


def test_pictures_of_16_bits_keep_their_greys_and_deeper_ones_are_refused(client):
    ramp = np.linspace(0, 65535, 64 * 32).reshape(32, 64)
    buffers = [io.BytesIO(), io.BytesIO()]
    Image.fromarray(ramp.astype(np.uint16)).save(buffers[0], "PNG")
    found = pictures.decode(buffers[0].getvalue(), (32, 64))
    assert abs(found[..., 0] - ramp / 257).max() < 1
    Image.fromarray(ramp.astype(np.float32)).save(buffers[1], "TIFF")
    with pytest.raises(UserError):
        pictures.decode(buffers[1].getvalue(), (32, 64))


def test_heat_goes_from_dark_to_bright():
    shown = pictures.heat(np.array([[0.0, 1.0]]))
    assert shown[0, 0].sum() < shown[0, 1].sum() and shown.dtype == np.uint8


def test_an_empty_folder_offers_the_default_run(shelf, tmp_path):
    empty = type(shelf)(tmp_path / "none", shelf.compute, shelf.numbers)
    client = TestClient(build(empty), base_url="http://127.0.0.1")
    found = ask(client, "shelf", {})
    assert len(found["missing"]) == 4 and found["command"] == "make repro"
    assert "quarter of an hour" in found["takes"] and not found["pages"]
    assert client.get("/report").status_code == 404
    assert not Path(tmp_path / "none").exists(), "looking makes nothing"
