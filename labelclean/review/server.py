"""The review's web server: one person's browser on this machine, and nobody else."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelclean.data.images import UnreadableImage
from labelclean.decisions.decision import ACTIONS
from labelclean.errors import ReportError, printable
from labelclean.review import markup
from labelclean.review.neighbours import Neighbours
from labelclean.review.next_steps import NextStep
from labelclean.review.pages import LONGEST_PAGE, Query, QueryError
from labelclean.review.relearning import Relearner
from labelclean.review.session import ReviewSession
from labelclean.review.thumbnails import FULL, SIDES, SMALL, Thumbnails

LONGEST_BODY = 1 << 20  # bytes of a request

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True, kw_only=True)
class ReviewParts:
    """The parts that the server serves.

    title     the report's name
    digest    of the report: browsers keep pictures by it
    commands  what may be typed after the review
    relearner ranks the list again; None where the run kept no features
    """

    session: ReviewSession
    thumbnails: Thumbnails
    neighbours: Neighbours
    title: str
    digest: str
    commands: tuple[NextStep, ...] = ()
    relearner: Relearner | None = None


def make_app(parts: ReviewParts, *, port: int, token: str) -> ASGIApp:
    """The application for a server on 127.0.0.1:port, for whoever knows the token."""
    views = _Views(parts)
    routes = [
        Route("/", views.page),
        Route("/assets/{name}", views.asset),
        Route("/image/{row:int}", views.image),
        Route("/api/rows", views.rows),
        Route("/api/row/{row:int}", views.row),
        Route("/api/states", views.states),
        Route("/api/ahead", views.ahead),
        Route("/api/pair", views.pair),
        Route("/api/decisions", views.decide, methods=["POST"]),
        Route("/api/undo", views.undo, methods=["POST"]),
        Route("/api/learn", views.learn, methods=["POST"]),
    ]
    handlers: dict[Any, Any] = {QueryError: _refuse_query, ReportError: _refuse_report}
    return _Gate(Starlette(routes=routes, exception_handlers=handlers), port=port, token=token)


class _Gate:
    """Lets only this page's own requests through, and puts the headers on every answer.

    The Host header stops a name that was made to point here (DNS rebinding); Origin and the
    cookie stop other pages of the same browser; the token stops other users of the machine.
    """

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self._app = app
        self._token = token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        # Cookies know no ports: two reviews at once would take each other's.
        self._cookie = f"labelclean_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        problem = self._problem(request)
        sets_cookie = problem is None and "token" in request.query_params

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                if "cache-control" not in Headers(raw=message["headers"]):
                    headers.append((b"cache-control", b"no-store"))
                if sets_cookie:
                    cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
                    headers.append((b"set-cookie", cookie.encode()))
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        if problem is not None:
            await PlainTextResponse(problem, status_code=403)(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)

    def _problem(self, request: Request) -> str | None:
        """Why a request is refused, or None."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host not in self._hosts:
            return "refused: not this server's name"
        if origin is not None and origin != f"http://{host}":
            return "refused: asked for by another page"
        if origin is None and request.method not in ("GET", "HEAD"):
            return "refused: does not say which page asks"
        is_page = request.url.path == "/" and request.method == "GET"
        given = request.query_params.get("token") if is_page else None
        if given is None:
            given = request.cookies.get(self._cookie, "")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return "refused: open the address that labelclean review printed, with its token"
        return None


class _Views:
    """The answers; all that touch a file run in threads."""

    def __init__(self, parts: ReviewParts) -> None:
        self._parts = parts
        self._session = parts.session
        self._page: bytes | None = None
        self._page_lock = threading.Lock()

    def page(self, request: Request) -> Response:
        with self._page_lock:
            if self._page is None:
                self._page = markup.served_page(
                    self._session.rows,
                    title=self._parts.title,
                    digest=self._parts.digest,
                    reviewer=self._session.reviewer,
                    are_by_features=self._parts.neighbours.are_by_features,
                    commands=self._parts.commands,
                    learns=self._parts.relearner is not None,
                ).encode()
        return HTMLResponse(self._page)

    def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in markup.MEDIA_TYPES:
            return PlainTextResponse("no such file", status_code=404)
        return Response(markup.read_asset(name), media_type=markup.MEDIA_TYPES[name])

    def image(self, request: Request) -> Response:
        """The picture of a row, its longer side at most `side` px: one of SIDES, or FULL."""
        row = self._row(request)
        side = _integer(request.query_params.get("side", str(SMALL)), FULL, max(SIDES))
        if side not in (FULL, *SIDES):
            raise QueryError(f"side is {side}, must be one of {(FULL, *SIDES)}")
        try:
            picture = self._parts.thumbnails.get(row, side)
        except UnreadableImage as error:
            return PlainTextResponse(printable(error), status_code=404)
        headers = {"cache-control": "private, max-age=3600"}
        return Response(picture.data, media_type=picture.media_type, headers=headers)

    def rows(self, request: Request) -> Response:
        """A page of rows: offset and size, or the page that holds row `find` or the first
        undecided one (`find=undecided`)."""
        params = request.query_params
        session = self._session
        session.refresh()
        learning = self._learning()  # before the rows: what is learned meanwhile is shown later
        matching = session.match(Query.parse(params, ACTIONS))
        size = _integer(params.get("size", "60"), 1, LONGEST_PAGE)
        find = params.get("find", "")
        if find:
            if find == "undecided":
                hits = (session.actions[matching] == 0).nonzero()[0]
            else:
                hits = (matching == _integer(find, 0, len(session.rows) - 1)).nonzero()[0]
            offset = int(hits[0]) // size * size if len(hits) else 0
        else:
            offset = _integer(params.get("offset", "0"), 0, len(session.rows))
        shown = matching[offset : offset + size].tolist()
        cells = [{**session.rows.cells(row), "decision": session.decision(row)} for row in shown]
        return self._state(total=len(matching), offset=offset, rows=cells, learning=learning)

    def row(self, request: Request) -> Response:
        """The images to compare a row with."""
        similar = self._parts.neighbours.beside(self._row(request))
        data = self._session.rows
        return JSONResponse(
            {
                "similar": [
                    {
                        "label": each.label,
                        "similarity": each.similarity,
                        "rows": [data.cells(row) for row in each.rows],
                    }
                    for each in similar
                ]
            }
        )

    def ahead(self, request: Request) -> Response:
        """The images left when a list is at its end."""
        self._session.refresh()
        query = Query.parse(request.query_params, ACTIONS)
        return JSONResponse(self._session.ahead(query).to_json())

    def pair(self, request: Request) -> Response:
        """The undecided rows with the labels of `row` that reach `precision` if accepted."""
        params = request.query_params
        self._session.refresh()
        row = _integer(params.get("row", ""), 0, len(self._session.rows) - 1)
        pair = self._session.pair(row, _share(params.get("precision", "")))
        return JSONResponse(pair.to_json(self._session.rows.images))

    def states(self, request: Request) -> Response:
        """The decisions on the rows asked for, if anything changed since version `since`."""
        self._session.refresh()
        self._look_at(request.query_params.get("focus"))
        version = self._session.version
        if request.query_params.get("since") == str(version):
            return JSONResponse({"version": version, "learning": self._learning()})
        asked = [x for x in request.query_params.get("rows", "").split(",") if x][:LONGEST_PAGE]
        return self._decided([_integer(x, 0, len(self._session.rows) - 1) for x in asked])

    async def decide(self, request: Request) -> Response:
        body = await _json_body(request)
        rows, action, label = body.get("rows"), body.get("action"), body.get("label")
        if not isinstance(rows, list) or not all(type(row) is int for row in rows):
            raise QueryError("rows must be a list of numbers")
        if not isinstance(action, str) or not (label is None or type(label) is int):
            raise QueryError("action must be a word, label a number")
        self._look_at(body.get("focus"))
        changed = await run_in_threadpool(self._session.decide, rows, action, label)
        if self._parts.relearner is not None:
            self._parts.relearner.start_if_due()
        return self._decided(changed)

    async def undo(self, request: Request) -> Response:
        await _json_body(request)
        return self._decided(await run_in_threadpool(self._session.undo))

    async def learn(self, request: Request) -> Response:
        """Begins to rank the undecided rows again; the states say when that is done."""
        body = await _json_body(request)
        if self._parts.relearner is None:
            raise QueryError("the run kept no features to learn from")
        if not self._session.count_settled():
            raise QueryError("decide on an image first: there is nothing to learn from yet")
        self._look_at(body.get("focus"))
        self._parts.relearner.start()
        return self._state()

    def _look_at(self, row: Any) -> None:
        """Keeps the row in focus: all up to it stays in its place when the list is ranked again."""
        if row is not None:
            self._session.in_focus = _integer(str(row), 0, len(self._session.rows) - 1)

    def _learning(self) -> dict[str, Any] | None:
        return None if self._parts.relearner is None else self._parts.relearner.state()

    def _decided(self, rows: list[int]) -> Response:
        decisions = {row: self._session.decision(row) for row in rows}
        return self._state(decisions=decisions, changed=rows)

    def _state(self, **more: Any) -> Response:
        session = self._session
        return JSONResponse(
            {
                "version": session.version,
                "counter": session.counter().to_json(),
                "learning": self._learning(),
                **more,
            }
        )

    def _row(self, request: Request) -> int:
        row: int = request.path_params["row"]
        return _integer(str(row), 0, len(self._session.rows) - 1)


def _integer(text: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise QueryError("not a number") from None
    if not least <= value <= most:
        raise QueryError(f"{value} is not in {least} to {most}")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise QueryError("not a number") from None
    if not 0 <= value <= 1:
        raise QueryError(f"{value} is not in 0 to 1")
    return value


async def _json_body(request: Request) -> dict[str, Any]:
    """Only application/json, which no form of another page can send. Raises QueryError."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise QueryError("the request is not application/json")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > LONGEST_BODY:
            raise QueryError("the request is too long")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise QueryError("the request is not a JSON object")
    return body


def _refuse_query(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": printable(error)}, status_code=400)


def _refuse_report(request: Request, error: Exception) -> Response:
    """The decisions' file cannot be written, say: the person must learn of it."""
    return JSONResponse({"error": printable(error)}, status_code=503)


def run(app: ASGIApp, listening: Any, on_ready: Callable[[], None]) -> None:
    """Serves until Ctrl-C. `listening` is a bound socket; on_ready is called when it answers."""
    import uvicorn

    from labelclean.review.connections import MOST, PatientProtocol

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[Any] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        http=PatientProtocol,
        limit_concurrency=2 * MOST,  # beyond MOST the oldest that are incomplete end
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    try:
        Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn raises it again once it has ended in good order
        return
