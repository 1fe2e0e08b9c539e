"""Problem details (RFC 9457): the documents of errors, and the table from errors to statuses."""

from __future__ import annotations

import json
from http import HTTPStatus

from stationd.errors import (
    AuthenticationRequired,
    BodyTooLarge,
    ContainerNotFound,
    InvalidValue,
    JournalClosed,
    JournalOverloaded,
    JournalUnwritable,
    MethodNotAllowed,
    PermissionDenied,
    ResourceNotFound,
    SourceLost,
    StationdError,
    TooManyBodies,
    TooManyLogins,
    TooManyWaits,
)

CONTENT_TYPE = "application/problem+json"

STATUSES: dict[type[StationdError], HTTPStatus] = {
    InvalidValue: HTTPStatus.BAD_REQUEST,
    AuthenticationRequired: HTTPStatus.UNAUTHORIZED,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    ResourceNotFound: HTTPStatus.NOT_FOUND,
    ContainerNotFound: HTTPStatus.NOT_FOUND,
    MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    JournalUnwritable: HTTPStatus.SERVICE_UNAVAILABLE,
    JournalOverloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    JournalClosed: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyBodies: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyLogins: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyWaits: HTTPStatus.SERVICE_UNAVAILABLE,
    SourceLost: HTTPStatus.SERVICE_UNAVAILABLE,
}

RETRY_AFTER = "2"
"""Seconds that a client does well to leave us alone when we are busy."""


def status_for(error: StationdError) -> HTTPStatus:
    """The status for an error, C{500} for one that clients should never meet."""
    if isinstance(error, JournalUnwritable) and error.full:
        return HTTPStatus.INSUFFICIENT_STORAGE
    return STATUSES.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)


def headers_for(error: StationdError) -> dict[str, str]:
    """Headers that go with an error."""
    if isinstance(error, MethodNotAllowed):
        return {"Allow": ", ".join(error.allowed)}
    if isinstance(error, AuthenticationRequired):
        return {"WWW-Authenticate": 'Cookie realm="stationd"'}
    if status_for(error) is HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": RETRY_AFTER}
    return {}


def problem_document(status: HTTPStatus, detail: str, **more: str) -> bytes:
    """The body. C{type} is C{about:blank}: the status says it all."""
    return json.dumps(
        {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
        | more,
        ensure_ascii=True,
    ).encode()


def document_for(error: StationdError) -> bytes:
    """The body for an error; one about a value names its C{parameter}."""
    more = {"parameter": error.name} if isinstance(error, InvalidValue) else {}
    return problem_document(status_for(error), str(error), **more)
