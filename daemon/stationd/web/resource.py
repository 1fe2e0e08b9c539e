"""The one resource: answers a request, whatever happens."""

from __future__ import annotations

import secrets
from http import HTTPStatus

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from stationd.errors import StationdError
from stationd.messages import error_messages, log_messages
from stationd.web import problem_details
from stationd.web.authorization import AuthorizedRequest, authorize_request
from stationd.web.request_context import ApiServices, Response, StreamedResponse
from stationd.web.responses import send_response, stream_response


class ApiResource(Resource):
    """Everything under C{/}. Its requests are L{stationd.web.site.ApiRequest}s, which call it in
    two steps: L{authorize_request} when the headers are in, then L{answer} or L{refuse}."""

    isLeaf = True
    _log = Logger()

    def __init__(self, services: ApiServices) -> None:
        super().__init__()
        self._services = services

    def admit(self, request: Request) -> AuthorizedRequest:
        """Decide whether a request may be made.

        Errors as L{stationd.web.authorization.authorize_request}.
        """
        return authorize_request(self._services, request)

    def answer(self, request: Request, admitted: AuthorizedRequest, body: bytes) -> None:
        """Answer, now or later."""
        answering = Deferred.fromCoroutine(admitted.handle(body))
        # The client has disconnected: whatever the handler waits for is cancelled.
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addCallback(self._send, request)
        answering.addErrback(self.refuse, request)

    def refuse(self, failure: Failure, request: Request) -> None:
        """Answer with a problem document. If that fails too, or the answer has begun already, the
        connection is closed: a client must never wait for what does not come."""
        if request._disconnected:
            return
        try:
            response = self._problem_response(failure, request)
            if not request.startedWriting:
                send_response(request, response)
                return
        except Exception:  # noqa: BLE001 - the outermost edge of a request
            log_messages.RESPONSE_FAILED.emit(self._log)
        request.transport.abortConnection()  # type: ignore[union-attr]

    def _send(self, response: Response | StreamedResponse, request: Request) -> None:
        if request._disconnected:
            return
        if isinstance(response, StreamedResponse):
            stream_response(request, response, self._services.clock)
        else:
            send_response(request, response)

    def _problem_response(self, failure: Failure, request: Request) -> Response:
        error = failure.value
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        if isinstance(error, StationdError):
            status = problem_details.status_for(error)
        if isinstance(error, StationdError) and status is not HTTPStatus.INTERNAL_SERVER_ERROR:
            body, headers = problem_details.document_for(error), problem_details.headers_for(error)
        else:
            headers = {}
            incident = secrets.token_hex(4)
            log_messages.REQUEST_FAILED.emit(
                self._log,
                failure=failure,
                incident=incident,
                method=request.method.decode("latin-1"),
                path=request.path.decode("latin-1"),
            )
            detail = error_messages.INTERNAL_ERROR.render(incident=incident)
            body = problem_details.problem_document(status, detail, incident=incident)
        return Response(
            body=body, status=status, content_type=problem_details.CONTENT_TYPE, headers=headers
        )
