"""Metrics of synthetic pairs: a metric is a file and a line here, the report loops over them.

The order is that of the columns.
"""

from evaluate.metrics import (
    alignment,
    components,
    copies,
    diversity,
    fid,
    frechet,
    fsd,
    kl,
    presence,
)
from evaluate.metrics.metric import Metric

METRICS: dict[str, Metric] = {
    "alignment": alignment.METRIC,
    "feature_frechet": frechet.METRIC,
    "fid": fid.METRIC,
    "feature_diversity": diversity.METRIC,
    "feature_copies": copies.METRIC,
    "fsd": fsd.METRIC,
    "kl": kl.METRIC,
    "presence": presence.METRIC,
    "components": components.METRIC,
}
