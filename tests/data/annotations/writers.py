"""One scene in every annotation format: what a labelling tool would write of it."""

import base64
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pycocotools import mask as coco

WIDTH, HEIGHT = 60, 40
CLASSES = ("rest", "road", "car")
BASE = {"images": "images/*", "rest": "rest", "classes": [{"name": name} for name in CLASSES]}
COCO = BASE | {"format": "coco", "files": "annotations/*.json"}
# Boxes (left, top, right, bottom) of classes: a car lies on a road, the other one has none.
ROAD, CAR = (5, 20, 55, 35), (20, 25, 30, 32)


def boxes(key: int) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Return the objects of an image, the lower first."""
    road, car = (tuple(np.add(box, (key, 0, key, 0)).tolist()) for box in (ROAD, CAR))
    return [("road", road), ("car", car)]


def expected(key: int) -> np.ndarray:
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    for name, (left, top, right, bottom) in boxes(key):
        label[top:bottom, left:right] = CLASSES.index(name)
    return label


def corners(box: Sequence[float]) -> list[list[float]]:
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def mask(box: Sequence[int]) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[box[1] : box[3], box[0] : box[2]] = 1
    return found


def flat(box: Sequence[float]) -> list[float]:
    return [value for corner in corners(box) for value in corner]


def put(root: Path, name: str, content: Any) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def coco_json(root: Path, keys: Sequence[int]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "images": [
            {"id": 7 + k, "file_name": f"p{k}.png", "width": WIDTH, "height": HEIGHT} for k in keys
        ],
        "categories": [{"id": 3 * i, "name": name} for i, name in enumerate(CLASSES)],
        "annotations": [],
    }
    for key in keys:
        # the car first: order says nothing in COCO
        for name, box in reversed(boxes(key)):
            segment: Any = [flat(box)]
            if key % 3 == 1:
                packed = coco.encode(np.asfortranarray(mask(box)))
                segment = packed | {"counts": packed["counts"].decode()}
            elif key % 3 == 2:
                runs = mask(box).ravel(order="F")
                edges = np.flatnonzero(np.diff(np.concatenate([[0], runs, [2]])))
                counts = np.diff(np.concatenate([[0], edges])).tolist()
                segment = {"counts": counts, "size": [HEIGHT, WIDTH]}
            content["annotations"].append(
                {"id": len(content["annotations"]) + 1, "image_id": 7 + key, "iscrowd": 0}
                | {"category_id": 3 * CLASSES.index(name), "segmentation": segment}
            )
    put(root, "annotations/all.json", content)
    return {"files": "annotations/*.json"}


def coco_panoptic(root: Path, keys: Sequence[int]) -> dict[str, Any]:
    images, annotations = [], []
    for key in keys:
        images.append({"id": key, "file_name": f"p{key}.jpg", "width": WIDTH, "height": HEIGHT})
        images[-1]["file_name"] = f"p{key}.png"
        numbers = np.zeros((HEIGHT, WIDTH), np.uint32)
        segments = []
        for index, (name, (left, top, right, bottom)) in enumerate(boxes(key)):
            number = 1000 * index + 300
            numbers[top:bottom, left:right] = number
            segments.append({"id": number, "category_id": CLASSES.index(name)})
        colors = np.stack([numbers >> shift & 255 for shift in (0, 8, 16)], -1).astype(np.uint8)
        (root / "panoptic/all").mkdir(parents=True, exist_ok=True)
        Image.fromarray(colors).save(root / f"panoptic/all/p{key}.png")
        annotations.append({"image_id": key, "file_name": f"p{key}.png", "segments_info": segments})
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    put(root, "annotations/all.json", content)
    return {"files": "annotations/*.json", "masks": "panoptic/**/*.png"}


def labelme_of(key: int, shapes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"..\\images\\p{key}.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }


def labelme(root: Path, keys: Sequence[int]) -> dict[str, Any]:
    for key in keys:
        shapes = []
        for name, box in boxes(key):
            shape = {"label": name, "points": corners(box), "shape_type": "polygon"}
            if key % 2:
                shape |= {"points": corners(box)[::2], "shape_type": "rectangle"}
            shapes.append(shape)
        put(root, f"labels/p{key}.json", labelme_of(key, shapes))
    return {"files": "labels/*.json"}


def png64(values: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def yolo(root: Path, keys: Sequence[int]) -> dict[str, Any]:
    for key in keys:
        lines = []
        for name, box in boxes(key):
            points = np.array(corners(box)) / (WIDTH, HEIGHT)
            lines.append(" ".join(map(str, [CLASSES.index(name), *points.ravel().tolist()])))
        put(root, f"labels/p{key}.txt", "\n".join(lines) + "\n")
    put(root, "data.yaml", "names:\n  0: rest\n  1: road\n  2: car\n")
    return {"files": "labels/*.txt", "names": "data.yaml"}


def cvat(root: Path, keys: Sequence[int]) -> dict[str, Any]:
    images = []
    for key in keys:
        (_, road), (_, car) = boxes(key)
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in corners(road))
        left, top, right, bottom = car
        across, down = right - left, bottom - top
        shapes = [
            f'<box label="car" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" z_order="1"/>',
            f'<mask label="car" rle="0, {across * down}" left="{left}" top="{top}" '
            f'width="{across}" height="{down}" z_order="1"/>',
        ]
        shape = f'{shapes[key % 2]}<polygon label="road" points="{points}" z_order="0"/>'
        images.append(
            f'<image id="{key}" name="images/p{key}.png" width="{WIDTH}" height="{HEIGHT}">'
            f'{shape}<tag label="night"/></image>'
        )
    text = "<?xml version='1.0'?><annotations><version>1.1</version>" + "".join(images)
    put(root, "annotations.xml", text + "</annotations>")
    return {"files": "annotations.xml"}


def packed(values: np.ndarray, *, literal: bool = False) -> list[int]:
    """Pack uint8 numbers as @thi.ng/rle-pack: runs, or, `literal`, all numbers as they are."""
    bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{s - 1:04b}" for s in (3, 4, 8, 16))
    edges = np.flatnonzero(np.diff(values)) + 1
    for part in np.split(values, edges):
        for start in range(0, len(part), 2**16):
            run = part[start : start + 2**16]
            bits += f"{0 if literal else 1}11{len(run) - 1:016b}"
            bits += "".join(f"{v:08b}" for v in (run if literal else run[:1]))
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def label_studio(root: Path, keys: Sequence[int]) -> dict[str, Any]:
    tasks = []
    for key in keys:
        (_, road), (_, car) = boxes(key)
        size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
        percent = (np.array(corners(road)) / (WIDTH, HEIGHT) * 100).tolist()
        results = [
            {"type": "polygonlabels", "value": {"points": percent, "polygonlabels": ["road"]}}
        ]
        if key % 2:
            rle = packed(np.repeat(mask(car).ravel() * 255, 4), literal=key == 1)
            value = {"format": "rle", "rle": rle, "brushlabels": ["car"]}
            results.append({"type": "brushlabels", "value": value})
        else:
            left, top, right, bottom = np.array(car) / (WIDTH, HEIGHT, WIDTH, HEIGHT) * 100
            value = {"x": left, "y": top, "width": right - left, "height": bottom - top}
            value |= {"rotation": 0, "rectanglelabels": ["car"]}
            results.append({"type": "rectanglelabels", "value": value})
        results.append({"type": "choices", "value": {"choices": ["night"]}})
        every = [result | size for result in results]
        image = f"/data/upload/3/0123abcd-p{key}.png"
        done = {"id": key, "was_cancelled": False, "result": every}
        tasks.append({"id": key, "annotations": [done], "data": {"image": image}})
    put(root, "project.json", tasks)
    return {"files": "project.json"}


def parquet(root: Path, keys: Sequence[int]) -> dict[str, Any]:
    rows = {"image": [], "label": []}
    for key in keys:
        buffer = io.BytesIO()
        Image.fromarray(expected(key)).save(buffer, "PNG")
        rows["image"].append({"bytes": (root / f"images/p{key}.png").read_bytes(), "path": None})
        rows["label"].append({"bytes": buffer.getvalue(), "path": None})
    (root / "data").mkdir()
    pq.write_table(pa.table(rows), root / "data/train-00000-of-00001.parquet")
    classes = [{"name": name, "labels": [str(i)]} for i, name in enumerate(CLASSES)]
    return {"files": "data/*.parquet", "images": None, "classes": classes}


WRITERS: dict[str, Callable[[Path, Sequence[int]], dict[str, Any]]] = {
    "coco": coco_json,
    "coco_panoptic": coco_panoptic,
    "labelme": labelme,
    "yolo": yolo,
    "cvat": cvat,
    "label_studio": label_studio,
    "parquet": parquet,
}


def write_scene(root: Path, kind: str, keys: Sequence[int], files: Any) -> dict[str, Any]:
    """Write images and their annotations of one format; return the section that reads them."""
    for key in keys:
        files.save(root / f"images/p{key}.png", files.picture(key, (HEIGHT, WIDTH)))
    return BASE | {"format": kind} | WRITERS[kind](root, keys)
