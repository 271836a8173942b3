"""The doorway every stage goes through: command line in, exit status out."""

import functools
import inspect
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from data.stage.errors import UserError


def run(main: Callable[..., Any]) -> NoReturn:
    """Run a stage's keyword-only `main` as a command line program.

    A parameter that is not keyword-only becomes a positional argument, one that may be left out
    when it has a default.

    A `UserError` becomes one line on standard error and exit status 2. SIGTERM raises
    `SystemExit`, so that temporary outputs are removed on the way out.
    """
    import typer  # lazily: generators train in images that have no typer

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    exit_on_sigterm()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(_with_flags(main, typer.Option, typer.Argument))
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    raise SystemExit(0)


def exit_on_sigterm() -> None:
    """Turn SIGTERM into `SystemExit`, so that temporary outputs are removed on the way out."""
    signal.signal(signal.SIGTERM, _terminate)


def _with_flags(
    main: Callable[..., Any], option: Callable[..., Any], argument: Callable[..., Any]
) -> Callable[..., Any]:
    # typer would make a required keyword-only parameter a positional argument, and an optional
    # positional one a flag
    @functools.wraps(main)
    def command(**flags: Any) -> Any:
        return main(**flags)

    signature = inspect.signature(main)
    command.__signature__ = signature.replace(  # pyright: ignore[reportAttributeAccessIssue]
        parameters=[
            p.replace(default=option(...))
            if p.kind is p.KEYWORD_ONLY and p.default is p.empty
            else p.replace(default=argument(p.default))
            if p.kind is not p.KEYWORD_ONLY and p.default is not p.empty
            else p
            for p in signature.parameters.values()
        ]
    )
    return command


def _terminate(signum: int, frame: object) -> NoReturn:
    raise SystemExit(128 + signum)
