"""Do images show what their labels say? What the judge reads off them (GAN-test)."""

from data.pairs.confusion import scores
from evaluate.metrics.judge import labelled
from evaluate.metrics.metric import Found, Metric, Reference, Scored


def alignment(scored: Scored) -> Found | None:
    """Return the judge's mIoU on painted images, their layouts being the ground truth.

    Parts: `star` is mIoU*; facts: the eval classes that occur in none of the layouts.
    """
    matrix = labelled(scored.pairs, scored.rows, scored.judge.predict, batch_size=scored.batch_size)
    found, classes = scores(matrix, scored.pairs.classes.eval_ids), scored.pairs.classes
    if found.miou != found.miou:  # no eval class occurs
        return None
    by_class = zip(classes.names, found.iou, strict=True)
    return Found(
        found.miou,
        parts={"star": found.miou_star},
        classes={name: value for name, value in by_class if value == value},
        facts={"absent": [classes.names[index] for index in found.absent]},
    )


def yardstick(reference: Reference, count: int) -> float:
    """Return the judge's mIoU on real val pairs, which it has not seen."""
    return reference.val_miou


METRIC = Metric(
    "alignment",
    header="alignment, mIoU",
    digits=1,
    better="higher",
    in_words="The judge labels the painted images; their layouts are the ground truth (GAN-test). "
    "High means that images show what their labels say, not that they teach something. The "
    "yardstick is the judge's score on real val pairs; a set that starts from real layouts "
    "repaints some that the judge was trained on, so it may lie above.",
    compute=alignment,
    yardstick=yardstick,
)
