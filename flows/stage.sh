#!/bin/sh
# Start a stage of dvc.yaml: sh flows/stage.sh ROOM.MODULE --FLAGS, as `python -m` would.
#
# The python that is first on the path is the one of an activated environment, of `make` or of a
# flow; where it has none of the project's packages (.venv/bin/dvc, started by its name alone), it
# is that of .venv. DVC sets DVC_ROOT, also in the temporary folder of an experiment.
has_packages='
import importlib.util, sys
sys.exit(any(importlib.util.find_spec(name) is None for name in ("PIL", "pydantic", "torch")))'

if ! python -c "$has_packages" 2>/dev/null; then
    PATH="${DVC_ROOT:-.}/.venv/bin:$PATH"
    if ! python -c "$has_packages" 2>/dev/null; then
        echo "error: the python on the path has none of the packages of this project, and .venv" \
            "neither; activate the environment, or run make venv" >&2
        exit 2
    fi
fi
exec python -m "$@"
