"""The review as one HTML file: pictures inside, decisions downloaded as CSV."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

from labelclean.data.images import UnreadableImage
from labelclean.decisions.decision import ACTIONS
from labelclean.report.files import neutralised
from labelclean.review.markup import standalone_page
from labelclean.review.neighbours import Neighbours
from labelclean.review.pages import Ints, ReviewRows
from labelclean.review.thumbnails import Thumbnails

PICTURES = 6 * 2**20  # bytes that all images to decide on take: a mail can carry the page
SHOWN = (256, 1024)  # px, the longer side of such an image, at least and at most
BYTES_A_PIXEL = 0.3  # of photos as JPEG, measured on 41 photos of groceries
COMPARED = 112  # px, of an image to compare with: above LOSSLESS, as a JPEG is a fifth of a PNG
COMPARISONS = 3  # images of a class


def make_page(
    rows: ReviewRows,
    thumbnails: Thumbnails,
    neighbours: Neighbours,
    *,
    title: str,
    digest: str,
    top: int,
    advance: Callable[[int, int], None],
) -> tuple[bytes, int]:
    """The page, and how many images it holds: of `top` the most suspicious, judged ones first."""
    chosen = most_suspicious(rows, top)
    side = side_for(len(chosen))
    chosen_rows = set(chosen.tolist())
    pictures: dict[str, str | None] = {}
    small: dict[str, str | None] = {}
    cells = []
    for done, row in enumerate(chosen.tolist()):
        similar = neighbours.beside(row, COMPARISONS)
        shown = rows.cells(row)
        pictures[str(row)] = _data_uri(thumbnails, row, side)
        for other in (other for each in similar for other in each.rows):
            if str(other) not in small:
                small[str(other)] = _data_uri(thumbnails, other, COMPARED)
        cells.append(
            {
                **shown,
                "copies": [near for near in shown["copies"] if near in chosen_rows],
                "cell": _cell(rows.images[row]),
                "similar": [
                    {
                        "label": each.label,
                        "similarity": each.similarity,
                        "rows": [_compared(rows, other) for other in each.rows],
                    }
                    for each in similar
                ],
            }
        )
        advance(done + 1, len(chosen))
    facts: dict[str, Any] = {
        **rows.facts(),
        "count": len(chosen),
        "actions": ACTIONS,
        "sides": (side,),
        "first": {},
        "learns": False,
        "digest": digest[:16],
        "title": title,
        "areByFeatures": neighbours.are_by_features,
        "labelCells": [_cell(name) for name in rows.labels],
        "rows": cells,
        "pictures": pictures,
        "small": small,
    }
    # A lone surrogate, from a name that is no UTF-8, stands only inside base64.
    issues = int(rows.is_issue[chosen].sum())
    page = standalone_page(rows, title=title, facts=facts, top=len(chosen), issues=issues)
    return page.encode("utf-8"), len(chosen)


def side_for(count: int) -> int:
    """The longer side in px of each of `count` images, so that all fit into PICTURES."""
    side = int((PICTURES / max(1, count) / BYTES_A_PIXEL) ** 0.5)
    return min(max(side, SHOWN[0]), SHOWN[1])


def most_suspicious(rows: ReviewRows, top: int) -> Ints:
    """The first `top` judged rows in the order of the review."""
    return rows.order[~np.isnan(rows.score[rows.order])][:top]


def _compared(rows: ReviewRows, row: int) -> dict[str, Any]:
    cells = rows.cells(row)
    return {"row": row, "image": cells["image"]}


def _data_uri(thumbnails: Thumbnails, row: int, side: int) -> str | None:
    try:
        picture = thumbnails.get(row, side)
    except UnreadableImage:
        return None
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


def _cell(name: str) -> str:
    """A cell of the CSV as base64: the name's own bytes, quoted, run by no spreadsheet."""
    quoted = '"' + neutralised(name).replace('"', '""') + '"'
    return base64.b64encode(quoted.encode("utf-8", "surrogateescape")).decode()
