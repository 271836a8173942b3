"""The studio: a page on this machine over whatever has been trained; stop it with Ctrl+C."""

import socket
from pathlib import Path

from data.stage.cli import run
from data.stage.compute import begin
from data.stage.errors import UserError
from data.stage.params import read
from data.stage.progress import log
from studio.shelf import Shelf
from synth.making.parts import ProduceParams

LOOPBACK = "127.0.0.1"


def main(*, artifacts: Path = Path("artifacts"), port: int = 7860) -> None:
    """Serve the studio on http://127.0.0.1:PORT, for this machine alone."""
    try:
        import uvicorn

        from studio.web.app import build
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; `make studio` installs it") from None
    if not 0 <= port < 65536:
        raise UserError(f"--port {port}: ports are numbers from 0 (any that is free) to 65535")
    if artifacts.exists() and not artifacts.is_dir():
        raise UserError(
            f"{artifacts} is not a folder; name one that a run has left, with --artifacts"
        )
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used ({error.strerror}); choose another one with --port"
            ) from None
        shelf = Shelf(
            artifacts.absolute(), begin("generators", "studio"), read("produce", ProduceParams)
        )
        app = build(shelf)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        log.info(f"studio: http://{LOOPBACK}:{listening.getsockname()[1]} (Ctrl+C stops it)")
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    run(main)
