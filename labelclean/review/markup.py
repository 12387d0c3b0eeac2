"""The page as HTML: the template filled in, for the server or as one file that needs nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib import resources
from typing import Any

import jinja2

from labelclean.decisions.decision import ACTIONS
from labelclean.review.next_steps import NextStep
from labelclean.review.pages import ReviewRows
from labelclean.review.summary_data import summarise
from labelclean.review.thumbnails import SIDES

STYLES = ("base.css", "summary.css", "review.css", "dialogs.css", "narrow.css", "print.css")

# In the order of their imports: in one file they are one script, and an inline module imports
# nothing.
_SCRIPTS = (
    *("filters.js", "keys.js", "classes.js", "looks.js", "compare.js", "grid.js", "panel.js"),
    *("chooser.js", "zoom.js", "bulk.js", "copies.js", "end.js", "learn.js", "counters.js"),
    *("input.js", "app.js"),
)
STANDALONE_SCRIPTS = ("dom.js", "file_backend.js", *_SCRIPTS, "file_main.js")

MEDIA_TYPES = {
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(STYLES, "text/css"),
    **dict.fromkeys(
        ("theme.js", "dom.js", "server_backend.js", *_SCRIPTS, "server_main.js"), "text/javascript"
    ),
}


def read_asset(name: str) -> str:
    return (resources.files("labelclean.review") / "assets" / name).read_text("utf-8")


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FunctionLoader(read_asset)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share, digits=1: f"{share * 100:.{digits}f} %"
    environment.filters["number"] = lambda value: f"{value:,.0f}"
    return environment.get_template("page.html")


def served_page(
    rows: ReviewRows,
    *,
    title: str,
    digest: str,
    reviewer: str,
    are_by_features: bool,
    commands: tuple[NextStep, ...] = (),
    learns: bool = False,
) -> str:
    """The page for the server: scripts and styles by their addresses, no data but the summary."""
    facts = {
        **rows.facts(),
        "actions": ACTIONS,
        "sides": SIDES,
        "first": {"verdict": "issue"},
        "digest": digest[:16],
        "reviewer": reviewer,
        "areByFeatures": are_by_features,
        "learns": learns,
    }
    return _template().render(
        title=title,
        summary=summarise(rows),
        facts=_json(facts),
        standalone=None,
        styles=STYLES,
        commands=commands,
        learns=learns,
    )


def standalone_page(
    rows: ReviewRows, *, title: str, facts: dict[str, Any], top: int, issues: int
) -> str:
    """The page as one file; its policy allows just the script and the styles in it.

    top     images in the file
    issues  those of them that look wrong
    """
    style = "\n".join(map(read_asset, STYLES))
    script = "\n".join(_without_modules(read_asset(name)) for name in STANDALONE_SCRIPTS)
    theme = read_asset("theme.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(theme)} {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    icon = base64.b64encode(read_asset("icon.svg").encode()).decode()
    return _template().render(
        title=title,
        summary=summarise(rows),
        facts="",
        commands=(),
        learns=False,
        standalone={
            "policy": policy,
            "style": style,
            "theme": theme,
            "script": script,
            "icon": f"data:image/svg+xml;base64,{icon}",
            # "<" as an escape: no name can end the element that holds the data.
            "facts": _json(facts).replace("<", "\\u003c"),
            "top": top,
            "issues": issues,
        },
    )


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _without_modules(script: str) -> str:
    script = re.sub(r"^import [^;]*;\n", "", script, flags=re.MULTILINE)
    return re.sub(r"^export ", "", script, flags=re.MULTILINE)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
