"""The server of the studio: it answers this machine alone, one request after the other."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from data.pairs.pair import encode_png
from data.stage.errors import UserError
from studio.acts import gallery, keep
from studio.shelf import Shelf, pages_of
from studio.web import answers, pictures

PAGE = Path(__file__).parent / "page"
HOSTS = ["127.0.0.1", "localhost", "[::1]"]
MOST_JSON = 2**20
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
OURS = "x-studio"  # a header that no other site's page can send without asking first

log = logging.getLogger("studio")


class Desk:
    """A shelf, what is asked of it, and the one thread that works on it."""

    def __init__(self, shelf: Shelf) -> None:
        """Start the thread; how many threads PyTorch has is set there."""
        self.shelf = shelf
        threads = shelf.compute.threads
        self._thread = ThreadPoolExecutor(1, "studio", torch.set_num_threads, (threads,))

    async def do(self, work: Callable[..., Any], *given: Any) -> Any:
        """Do something with the shelf, when it is its turn."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: work(self.shelf, *given)
        )

    async def answer(self, request: Request) -> Response:
        """Answer a question in JSON."""
        work = answers.ANSWERS.get(request.path_params["what"])
        if work is None:
            raise UserError("the studio does not know this; load the page again")
        return JSONResponse(await self.do(work, await _json(request)))

    async def judge_file(self, request: Request) -> Response:
        """Judge a picture that was sent."""
        content = await _body(request, pictures.MOST_BYTES + 1)
        cell = request.query_params.get("cell", "")

        def work(shelf: Shelf) -> Any:
            image = pictures.decode(content, shelf.real.size)
            return answers.judged(shelf, cell, image, None, None)

        return JSONResponse(await self.do(work))

    async def picture(self, request: Request) -> Response:
        """Send a picture of a pair."""
        given = request.query_params
        name, row = given.get("set", ""), _number(given.get("row", ""))

        def work(shelf: Shelf) -> bytes:
            what = "label" if given.get("what") == "label" else "image"
            content, pairs = gallery.picture(shelf.artifacts, name, row, what)
            if content and what == "label":
                return encode_png(pairs.classes.colorize(pairs.labels([row])[0]))
            return content

        content = await self.do(work)
        return Response(content, 200 if content else 404, media_type="image/png")

    async def objects(self, request: Request) -> Response:
        """Send some objects of a class."""
        first, name = (
            _number(request.query_params.get("first", "0")),
            request.query_params.get("name", ""),
        )
        return JSONResponse(await self.do(_objects, name, first))

    async def shard(self, request: Request) -> Response:
        """Send a shard of a set."""
        name = request.query_params.get("set", "")
        folder = await self.do(lambda shelf: keep.folder_of(shelf.artifacts, name))
        files = sorted(folder.glob("*.parquet"))
        number = _number(request.query_params.get("shard", "0"))
        if number >= len(files):
            raise UserError(f"{name} has {len(files)} shards")
        return FileResponse(files[number], filename=files[number].name)

    async def report(self, request: Request) -> Response:
        """Send the report of the run."""
        return self._page_of_run("report", "run `make repro`")

    async def study(self, request: Request) -> Response:
        """Send the study that was made of its pairs."""
        return self._page_of_run("study", "run `python -m evaluate.study SET SET`")

    def _page_of_run(self, name: str, fix: str) -> Response:
        found = pages_of(self.shelf.artifacts)
        if name not in found:
            return PlainTextResponse(f"no {name} beside these artifacts: {fix}", 404)
        return FileResponse(found[name])

    async def home(self, request: Request) -> Response:
        """Send the page."""
        return FileResponse(PAGE / "index.html")


def build(shelf: Shelf) -> Starlette:
    """Return the application."""
    desk = Desk(shelf)
    routes = [
        Route("/", desk.home),
        Route("/api/judge-file", _told(desk.judge_file), methods=["POST"]),
        Route("/api/objects", _told(desk.objects)),
        Route("/api/{what}", _told(desk.answer), methods=["POST"]),
        Route("/pair", _told(desk.picture)),
        Route("/shard", _told(desk.shard)),
        Route("/report", desk.report),
        Route("/study", desk.study),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS), Middleware(_Headers)]
    return Starlette(routes=routes, middleware=middleware)


def _objects(shelf: Shelf, name: str, first: int) -> Any:
    """Return up to 24 objects of a class with their pictures."""
    found = shelf.objects()
    if found is None:
        return {"objects": [], "total": 0}
    bank, number = found.bank, shelf.real.classes.index(name)
    every = range(int(bank.first[number]), int(bank.first[number + 1]))
    shown = []
    for index in every[first : first + 24]:
        shape = int(bank.height[index]), int(bank.width[index]), 4
        pixels = bank.pixels[bank.part(index)].reshape(shape).astype(float)
        alpha = pixels[..., 3:] / 255
        pixels[..., :3] = (pixels[..., :3] / alpha.clip(1e-3)).clip(0, 255)
        shown.append({"object": index, "image": pictures.url(pixels.round().astype("uint8"))})
    return {"objects": shown, "total": len(every)}


def _told(
    work: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn what is wrong into one line for the page; a fault of the studio is also logged."""

    async def answer(request: Request) -> Response:
        try:
            return await work(request)
        except UserError as error:
            return JSONResponse({"error": " ".join(str(error).split())}, 422)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:
            log.exception("the studio failed to answer %s", request.url.path)
            line = "the studio failed to do this; its terminal says why. Nothing is lost."
            return JSONResponse({"error": line}, 500)

    return answer


async def _json(request: Request) -> Any:
    content = await _body(request, MOST_JSON)
    try:
        return json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise UserError("this is no JSON; load the page again") from None


async def _body(request: Request, most: int) -> bytes:
    if request.headers.get(OURS) is None:
        raise UserError("only the studio's own page may ask this")
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise UserError(f"more than {most >> 20} MB were sent; that is too much")
    return bytes(content)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise UserError("a number is missing; load the page again")
    return int(text)


class _Headers:
    """Tell browsers to load nothing from elsewhere and to keep no page."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
                if scope["path"] not in ("/report", "/study"):  # pages with scripts of their own
                    extra.append((b"content-security-policy", POLICY.encode()))
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self.app(scope, receive, tell)
