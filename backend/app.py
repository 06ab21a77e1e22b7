"""The web application: routes, who may call them, and how errors are answered."""

import json
import re
import secrets
import time
from http import HTTPStatus
from importlib import import_module
from typing import Any

import structlog
from flask import Response, current_app, g, redirect, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import APIBlueprint, Info, OpenAPI
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.middleware.proxy_fix import ProxyFix

from backend import __version__
from backend.admission import Admission
from backend.db.transaction import is_value_refused
from backend.errors import StateError, Unauthenticated, Unavailable
from backend.marks import public
from backend.rooms import ROUTES
from backend.tenants.access import Principal, authenticate
from backend.web import DESK, Problem, browser_principal, prefers_html, problem, services, status_of
from backend.wiring import Services

_log = structlog.get_logger(__name__)

REQUESTS = Counter("secondbrain_requests_total", "HTTP requests", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "secondbrain_request_seconds", "Seconds until the answer began", ["method", "route"]
)

_ME = "/api/auth/me"
_NO_OBJECT = "This must be a JSON object, sent as application/json."
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class AuthRequired(Unauthenticated):
    """Sign in to do this."""


class _Json(DefaultJSONProvider):
    """Flask's, for which text nested too deep is no JSON, rather than an error of ours."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        try:
            return super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


def create_app(s: Services) -> OpenAPI:
    """The WSGI application of one process. `s` is closed by whoever made it."""
    app = OpenAPI(
        __name__,
        info=Info(
            title="Second Brain",
            version=__version__,
            description="The knowledge backend that needs nothing but Postgres.",
        ),
        security_schemes={
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT, or an API key"}
        },
        responses={"4XX": Problem, "5XX": Problem},
        validation_error_status=400,
        validation_error_model=Problem,
        validation_error_callback=_validation_problem,
        static_folder=None,
        doc_ui=False,
    )
    app.json = _Json(app)
    app.extensions["secondbrain"] = s
    app.config["MAX_CONTENT_LENGTH"] = s.settings.max_request_bytes
    for module in ROUTES:
        _register(app, import_module(module).api)
    admission = Admission(s)
    app.before_request(_begin)
    app.before_request(_authenticate)
    app.before_request(admission.admit)
    # The last one registered is the first to see the answer.
    app.after_request(_finish)
    app.after_request(admission.settle)
    app.register_error_handler(StateError, _state_error)
    app.register_error_handler(ValidationError, _validation_problem)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    _operations(app)
    if s.settings.trusted_proxies:
        # Only the caller's address: what browsers reach us under is a setting, never a header.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=s.settings.trusted_proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    return app


def _register(app: OpenAPI, api: APIBlueprint) -> None:
    """Adds the routes of a module; of a path that several modules serve, all methods are described."""
    described = dict(app.paths)
    app.register_api(api)
    for path in described.keys() & api.paths.keys():
        methods = {m: op for m, op in api.paths[path] if op is not None}
        app.paths[path] = described[path].model_copy(update=methods)


def _begin() -> Response | None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    if request.method == "OPTIONS":
        return Response(status=204)
    return None


def _authenticate() -> None:
    """Finds out who is asking; refuses, unless the route is marked as open to everybody."""
    if request.endpoint is None:
        # No such route: the answer is the same for everybody, and needs no database.
        return
    access = getattr(_view(), "access", "private")
    token = _bearer()
    try:
        g.principal = _principal(token, access)
    except Unauthenticated:
        if access != "public":
            raise
        g.principal = None
    if g.principal is None and access != "public":
        raise AuthRequired


def _view() -> Any:
    """The view function of the request, or None."""
    return current_app.view_functions.get(request.endpoint or "")


def _principal(token: str, access: str) -> Principal | None:
    if token:
        return authenticate(services().db, services().keyring, token)
    return browser_principal(access)


def _bearer() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _finish(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else "(unknown)"
    REQUESTS.labels(request.method, route, response.status_code).inc()
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    REQUEST_SECONDS.labels(request.method, route).observe(seconds)
    response.headers["X-Request-ID"] = g.get("request_id", "")
    response.headers["X-Instance"] = services().instance
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if route.startswith("/api"):
        response.headers.setdefault("Cache-Control", "no-store")
    origin = request.headers.get("Origin")
    response.vary.add("Origin")
    if origin in services().settings.allowed_origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = (
            "X-Request-ID, ETag, Retry-After, Idempotency-Replayed"
        )
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = (
                "Content-Type, Authorization, X-Tenant, Idempotency-Key, If-Match, Last-Event-ID"
            )
            response.headers["Access-Control-Max-Age"] = "600"
    # The path, never the query: it may carry a code, a state or a ticket.
    _log.info(
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        milliseconds=round(1000 * seconds, 1),
    )
    return response


def _state_error(error: StateError) -> Response:
    status = status_of(error)
    if isinstance(error, Unavailable):
        _log.warning("unavailable", error=error.error_code, cause=type(error.__cause__).__name__)
        if request.path == _ME:
            return _in_plain_words()
    response = problem(status, error.message, error.error_code, **error.context)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "2"
    elif "retry_after" in error.context:
        response.headers["Retry-After"] = str(error.context["retry_after"])
    return response


def _in_plain_words() -> Response:
    """Existing clients sign the user out on any JSON answer of `me`, and stay signed in on any other."""
    return Response(
        "temporarily unavailable\n", status=503, mimetype="text/plain", headers={"Retry-After": "2"}
    )


def _validation_problem(error: ValidationError) -> Response:
    errors = [
        {
            "field": ".".join(map(str, e["loc"])) or "body",
            "message": _NO_OBJECT if e["type"] == "model_type" else e["msg"].removeprefix("Value error, "),
        }
        for e in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = errors[0]
    return problem(400, f"{first['field']}: {first['message']}", "VALIDATION_ERROR", errors=errors)


def _http_error(error: HTTPException) -> Response:
    code = error.code or 500
    words = {404: "Endpoint not found", 413: "The request is larger than this server accepts."}
    names = {
        404: "NOT_FOUND",
        405: "METHOD_NOT_ALLOWED",
        413: "PAYLOAD_TOO_LARGE",
        415: "UNSUPPORTED_MEDIA_TYPE",
    }
    if code in (301, 302, 307, 308):
        response = error.get_response()
        return response if isinstance(response, Response) else Response(status=code)
    phrase = HTTPStatus(code).phrase
    response = problem(code, words.get(code, f"{phrase}."), names.get(code, phrase.upper().replace(" ", "_")))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.allow.update(error.valid_methods)
    return response


def _unexpected(error: Exception) -> Response:
    if is_value_refused(error):
        _log.warning("value refused by the database", cause=type(error).__name__)
        return problem(400, "A value has characters or a size that cannot be stored.", "VALIDATION_ERROR")
    _log.exception("unexpected error", error=type(error).__name__)
    if request.path == _ME:
        return _in_plain_words()
    return problem(500, "Something went wrong on our side; the request id finds it.", "INTERNAL_ERROR")


def _operations(app: OpenAPI) -> None:
    @app.get("/", doc_ui=False)
    @public
    def root() -> Any:
        if prefers_html():
            return redirect(DESK)
        return {
            "name": "Second Brain",
            "version": __version__,
            "openapi": "/openapi.json",
            "health": "/api/health",
        }

    @app.get("/api/health", doc_ui=False)
    @public
    def health() -> tuple[dict[str, Any], int]:
        """200 when requests can be served, 503 when the database does not answer."""
        s = services()
        started = time.perf_counter()
        try:
            # Opening a transaction asks the server.
            with s.db.operator_transaction():
                database = "ok"
        except Unavailable:
            database = "unavailable"
        is_healthy = database == "ok"
        body = {
            "status": "healthy" if is_healthy else "unhealthy",
            "version": __version__,
            "instance": s.instance,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "checks": {"database": database, "listener": "ok" if s.listener.is_healthy else "reconnecting"},
            "response_time_ms": round(1000 * (time.perf_counter() - started), 1),
        }
        return body, 200 if is_healthy else 503

    @app.get("/metrics", doc_ui=False)
    @public
    def metrics() -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json", doc_ui=False)
    @public
    def openapi() -> Response:
        return Response(json.dumps(app.api_doc), mimetype="application/json")
