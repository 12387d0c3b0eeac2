"""How figures look, and how names are written in them whatever characters they hold."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from rich.cells import cell_len

from labelclean.errors import printable

INK, MUTED, FAINT = "#222222", "#6b6b6b", "#dddddd"
RIGHT, WRONG, ACCENT = "#8aa6c1", "#c8553d", "#2f6690"  # apart for the colour-blind and in grey
DPI = 160
WHOLE_PAGE = 22.0  # inches: no side is longer

# Tried in this order for the characters that the first lacks.
FONTS = (
    "DejaVu Sans",  # comes with matplotlib
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Noto Sans JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Arial Unicode MS",
    "Noto Emoji",
    "Symbola",
)


@contextmanager
def paper_style() -> Iterator[None]:
    """Figures made within look the same whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": list(_fonts()),
                "font.size": 9,
                "text.color": INK,
                "text.parse_math": False,  # a name may hold dollar signs
                "axes.edgecolor": MUTED,
                "axes.labelcolor": INK,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.titlelocation": "left",
                "axes.titlesize": 11,
                "axes.titleweight": "bold",
                "axes.axisbelow": True,
                "grid.color": FAINT,
                "grid.linewidth": 0.6,
                "xtick.color": MUTED,
                "ytick.color": MUTED,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "legend.frameon": False,
                "figure.dpi": DPI,
                "agg.path.chunksize": 10_000,  # a curve of millions of points is drawn in pieces
            }
        )
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, drawn by Agg.

    Known to no pyplot, which keeps figures and picks a window system.
    """
    figure = Figure(figsize=(min(width, WHOLE_PAGE), min(height, WHOLE_PAGE)), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def encode_png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.12)
    return out.getvalue()


def written(name: str, most: int) -> str:
    """A name for a figure: escaped, without characters that no font has, cut to `most` columns."""
    known = _characters()
    shown = "".join(
        letter if ord(letter) in known else letter.encode("unicode_escape").decode()
        for letter in printable(name)
    )
    return shortened(shown, most)


def lacks_fonts(names: Iterable[str]) -> bool:
    """Whether some visible letter of a name is in none of the fonts."""
    known = _characters()
    return any(ord(letter) not in known for name in names for letter in printable(name))


def shortened(text: str, most: int) -> str:
    """Cut in the middle: the ends of names tell more."""
    if cell_len(text) <= most:
        return text
    head = list(text)
    tail: list[str] = []
    # From the longer half, a letter at a time: letters are one or two columns wide.
    while cell_len("".join(head)) > (most - 1) - (most - 1) // 2:
        head.pop()
    for letter in reversed(text):
        if cell_len("".join([*tail, letter])) > (most - 1) // 2:
            break
        tail.append(letter)
    return "".join(head) + "…" + "".join(reversed(tail))


@functools.cache
def _fonts() -> tuple[str, ...]:
    """The FONTS that this system has."""
    there = {font.name for font in fontManager.ttflist}
    return tuple(name for name in FONTS if name in there)


@functools.cache
def _characters() -> frozenset[int]:
    """Code points that one of the fonts can draw."""
    characters: set[int] = set()
    for name in _fonts():
        path = fontManager.findfont(name, fallback_to_default=False)
        characters.update(FT2Font(path).get_charmap())
    return frozenset(characters)
