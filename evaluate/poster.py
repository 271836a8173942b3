"""The augmentation numbers of the Semantic Palette poster (CVPR 2021), for orientation.

Cityscapes and IDD at 128x256, single runs. The poster's subscripts are gains over its real-only
row, not deviations: 22 of its 24 entries equal the difference to that row, with the sign lost.
They are computed here from the scores, so they carry their sign. Its IDD row for the plain method
repeats the baseline's scores with another row's gain, so no gain can be given for it.
"""

CAPTION = (
    "Cityscapes/IDD 128x256, single runs; poster subscripts are gains over real, not deviations"
)
DATASETS = ("Cityscapes", "IDD")
SCORES = {  # recipe -> dataset -> (mIoU*, mIoU), percent
    "real": {"Cityscapes": (36.9, 48.1), "IDD": (33.8, 43.8)},
    "semi": {"Cityscapes": (37.2, 48.2), "IDD": (33.6, 43.5)},
    "palette": {"Cityscapes": (38.0, 49.4), "IDD": (33.8, 43.8)},
    "palette_da": {"Cityscapes": (38.6, 51.6), "IDD": (34.5, 44.7)},
    "partial": {"Cityscapes": (40.7, 51.9), "IDD": (35.6, 46.1)},
    "partial_da": {"Cityscapes": (40.7, 52.6), "IDD": (35.3, 45.8)},
}
MISPRINTED = {("palette", "IDD")}
NAMES = {
    "real": "real",
    "semi": "CauGAN",
    "palette": "Sem. Palette",
    "palette_da": "Sem. Palette + DA",
    "partial": "Part. Sem. Palette",
    "partial_da": "Part. Sem. Palette + DA",
}


def entry(recipe: str, dataset: str, star: bool) -> str:
    """Return a cell of the poster as text, for example `49.4 (+1.3)`; empty without one."""
    if recipe not in SCORES:
        return ""
    column = 0 if star else 1
    value = SCORES[recipe][dataset][column]
    if recipe == "real":
        return f"{value:.1f}"
    if (recipe, dataset) in MISPRINTED:
        return f"{value:.1f} (?)"
    return f"{value:.1f} ({value - SCORES['real'][dataset][column]:+.1f})"
