"""Painters: layout -> image, one file per method; `none` leaves pixels as the layouts draw them."""

from synth.painters import (
    bicyclegan,
    cc_fpse,
    cimle,
    crn,
    lggan,
    none,
    oasis,
    pix2pixhd,
    regions,
    safm,
    sean,
    sesame,
    sims,
    spade,
)
from synth.painters.common.entry import Entry

PAINTERS: dict[str, Entry] = {
    "none": none.ENTRY,
    "spade": spade.ENTRY,
    "oasis": oasis.ENTRY,
    "pix2pixhd": pix2pixhd.ENTRY,
    "regions": regions.ENTRY,
    "sean": sean.ENTRY,
    "cc_fpse": cc_fpse.ENTRY,
    "sesame": sesame.ENTRY,
    "safm": safm.ENTRY,
    "lggan": lggan.ENTRY,
    "crn": crn.ENTRY,
    "bicyclegan": bicyclegan.ENTRY,
    "cimle": cimle.ENTRY,
    "sims": sims.ENTRY,
}
