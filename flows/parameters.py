"""What the parameters of a deployment may be.

The server checks them against these types when a run is asked for, the flow checks them again.
"""

from typing import Annotated, Literal

from pydantic import Field

MAX_PLACES = 64

# Digits first: a terminal takes "[a-..." in a message for the name of a colour, and leaves it out.
_NAME = "[0-9a-z_]+"
# A number, a name, a path, or a list or mapping of these. Nothing that a shell reads, no blank, and
# a comma (which means a sweep to DVC) only inside brackets.
_VALUE = r"([\w.+/:-]*|\[[\w.+/:,'\"\[\]{}-]*\]|\{[\w.+/:,'\"\[\]{}-]*\})"

SetName = Annotated[
    str,
    Field(pattern=f"^{_NAME}$", max_length=80, description="An entry of `sets` in params.yaml."),
]
StageName = Annotated[
    str,
    Field(
        pattern=f"^{_NAME}(@{_NAME}(-{_NAME})*)?$",
        max_length=200,
        description="A stage as `dvc stage list` names it, for example segment@real-0.",
    ),
]
Stages = Annotated[list[StageName], Field(min_length=1, max_length=1000)]
Folder = Annotated[
    str,
    Field(
        pattern=r"^[\w.+/][\w.+/ -]*$",
        max_length=500,
        description="A folder; below the clone unless absolute.",
    ),
]
Override = Annotated[
    str,
    Field(
        pattern=rf"^[+]{{0,2}}[0-9a-z_]+(\.[0-9a-z_]+)*={_VALUE}$",
        max_length=400,
        description="A change of params.yaml as for `dvc exp run -S`: painters.spade.width=8.",
    ),
]
Engine = Literal["inline", "processes", "ray"]
NumPairs = Annotated[int, Field(ge=1, le=1_000_000_000)]
NumProcesses = Annotated[
    int, Field(ge=1, le=1024, description="Processes or actors that make pairs.")
]
Minutes = Annotated[
    int, Field(ge=1, le=100_000, description="Minutes of the advisor's search and confirmation.")
]
Workers = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_PLACES,
        description="Stages at a time on a machine without GPUs.",
    ),
]
Gpus = Annotated[
    list[Annotated[int, Field(ge=0, le=1023)]],
    Field(
        min_length=1,
        max_length=MAX_PLACES,
        json_schema_extra={"uniqueItems": True},
        description="Devices to use, one stage on each at a time, counted as the worker sees them.",
    ),
]
