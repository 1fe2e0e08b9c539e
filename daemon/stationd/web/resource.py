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
from stationd.web.admission import Admitted, admit
from stationd.web.request_context import Answer, Api, Stream
from stationd.web.responses import send, stream


class ApiResource(Resource):
    """Everything under C{/}. Its requests are L{stationd.web.site.ApiRequest}s, which call it in
    two steps: L{admit} when the headers are in, then L{answer} or L{refuse}."""

    isLeaf = True
    _log = Logger()

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api

    def admit(self, request: Request) -> Admitted:
        """Decide whether a request may be made. Errors as L{stationd.web.admission.admit}."""
        return admit(self._api, request)

    def answer(self, request: Request, admitted: Admitted, body: bytes) -> None:
        """Answer, now or later."""
        answering = Deferred.fromCoroutine(admitted.answer(body))
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
            answer = self._problem(failure, request)
            if not request.startedWriting:
                send(request, answer)
                return
        except Exception:  # noqa: BLE001 - the outermost edge of a request
            log_messages.ANSWER_NOT_SENT.emit(self._log)
        request.transport.abortConnection()  # type: ignore[union-attr]

    def _send(self, answer: Answer | Stream, request: Request) -> None:
        if request._disconnected:
            return
        if isinstance(answer, Stream):
            stream(request, answer, self._api.clock)
        else:
            send(request, answer)

    def _problem(self, failure: Failure, request: Request) -> Answer:
        error = failure.value
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        if isinstance(error, StationdError):
            status = problem_details.status_of(error)
        if isinstance(error, StationdError) and status is not HTTPStatus.INTERNAL_SERVER_ERROR:
            body, headers = problem_details.document_of(error), problem_details.headers_of(error)
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
            body = problem_details.document(status, detail, incident=incident)
        return Answer(
            body=body, status=status, content_type=problem_details.CONTENT_TYPE, headers=headers
        )
