"""What a failed model call means: one row per error, each a ModelFailure.

The library's error classes are named, not imported, so that this table costs nothing and a test can compare it with
what the installed library exports. An error that reached us inside a stream has no class of its own (the response was
a 200), so its ``type`` decides there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from swarm_core.vocabulary.errors import ModelError, ModelFailure

from .assembly import StreamError, StreamTruncated

AUTH, LIMIT, OVERLOAD = ModelFailure.AUTH, ModelFailure.LIMIT, ModelFailure.OVERLOAD
REQUEST, SPEND, TRANSPORT = ModelFailure.REQUEST, ModelFailure.SPEND, ModelFailure.TRANSPORT
TRUNCATED, SILENT, CONTEXT = ModelFailure.TRUNCATED, ModelFailure.SILENT, ModelFailure.CONTEXT

# Every exception class that `anthropic` exports. A subclass without a row takes the row of its nearest ancestor.
KIND_OF_CLASS: Mapping[str, ModelFailure] = {
    "AnthropicError": REQUEST,
    "APIError": TRANSPORT,
    "APIConnectionError": TRANSPORT,
    "APITimeoutError": TRANSPORT,
    "APIResponseValidationError": TRUNCATED,
    "APIStatusError": REQUEST,
    "APIWebhookValidationError": REQUEST,
    "RetryableError": TRANSPORT,
    # credentials
    "AuthenticationError": AUTH,
    "CredentialsError": AUTH,
    "IdentityTokenFileError": AUTH,
    "PermissionDeniedError": AUTH,
    "SandboxEgressRestrictedError": AUTH,
    "WorkloadIdentityError": AUTH,
    # limits and money
    "RateLimitError": LIMIT,
    "RampLimitExceededError": LIMIT,
    "ContractSpendLimitReachedError": SPEND,
    "EnforcedSpendLimitReachedError": SPEND,
    "LinkedOrganizationBillingUnavailableError": SPEND,
    "LinkedOrganizationSpendLimitReachedError": SPEND,
    "PaymentRequiredError": SPEND,
    # the server is in trouble, not the request
    "CMEKContextUnavailableError": OVERLOAD,
    "CMEKKeyUnreachableError": OVERLOAD,
    "ConflictError": OVERLOAD,
    "DeadlineExceededError": OVERLOAD,
    "GatewayTimeoutError": OVERLOAD,
    "HTTPNotImplementedError": OVERLOAD,
    "InternalServerError": OVERLOAD,
    "OverloadedError": OVERLOAD,
    "ServiceUnavailableError": OVERLOAD,
    # the connection was given up by somebody on the way
    "ClientClosedRequestError": TRANSPORT,
    "RequestTimeoutError": TRANSPORT,
    # the request itself
    "BadRequestError": REQUEST,
    "CMEKKeyDisabledError": REQUEST,
    "CMEKKeyNetworkBlockedError": REQUEST,
    "ClaudeCodeKeyCreatorNotMemberError": REQUEST,
    "ClaudeCodeVersionTooOldError": REQUEST,
    "ContentTooLargeError": CONTEXT,
    "NotFoundError": REQUEST,
    "OrganizationOnHoldError": REQUEST,
    "OrganizationTypeNotSupportedError": REQUEST,
    "ParentOrganizationRequiredError": REQUEST,
    "PreconditionFailedError": REQUEST,
    "RequestBodyEncodingInvalidError": REQUEST,
    "RequestBodyEncodingUnsupportedError": REQUEST,
    "RequestBodyTooLargeAfterDecodingError": CONTEXT,
    "RequestHeaderFieldsTooLargeError": REQUEST,
    "RequestTooLargeError": CONTEXT,
    "UnprocessableEntityError": REQUEST,
    # the HTTP library's own, which the SDK lets through once a stream has begun
    "TransportError": TRANSPORT,
    "DecodingError": TRUNCATED,
    "InvalidURL": REQUEST,
    # ours
    "StreamTruncated": TRUNCATED,
}

KIND_OF_TYPE: Mapping[str, ModelFailure] = {
    "api_error": OVERLOAD,
    "authentication_error": AUTH,
    "billing_error": SPEND,
    "conflict_error": OVERLOAD,
    "invalid_request_error": REQUEST,
    "memory_path_conflict_error": REQUEST,
    "memory_precondition_failed_error": REQUEST,
    "not_found_error": REQUEST,
    "overloaded_error": OVERLOAD,
    "permission_error": AUTH,
    "rate_limit_error": LIMIT,
    "request_too_large": CONTEXT,
    "timeout_error": OVERLOAD,
}

KEY_HINT = "set ANTHROPIC_API_KEY to a valid key, or use `adapter: scripted` for this service"
_HINTS: Mapping[ModelFailure, str] = {
    AUTH: KEY_HINT,
    SPEND: "raise the spend limit in the provider's console, then reassign the task",
    CONTEXT: "split the task into smaller ones",
    REQUEST: "look at the model and the task's size; the same request fails again",
}
MAX_MESSAGE_CHARS = 600
# A history that is too long is an invalid request like any other; only the words tell.
_TOO_LONG = re.compile(
    r"prompt is too long|exceeds? (the )?(maximum )?context|context (window|limit) (is )?exceed", re.I
)
_UNCONNECTED = frozenset({"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror"})


def kind_of(error: BaseException) -> ModelFailure:
    """Which failure ``error`` is; an error nobody knows is REQUEST, because sending it again cannot be trusted."""
    if "spend_limit" in str(getattr(error, "error_code", "") or ""):
        return SPEND
    kind = KIND_OF_TYPE.get(error.type, OVERLOAD) if isinstance(error, StreamError) else _kind_of_class(error)
    return CONTEXT if kind is REQUEST and _TOO_LONG.search(str(error)) else kind


def _kind_of_class(error: BaseException) -> ModelFailure:
    if getattr(error, "type", None) == "overloaded_error":
        return OVERLOAD
    for ancestor in type(error).__mro__:
        if (kind := KIND_OF_CLASS.get(ancestor.__name__)) is not None:
            if kind is REQUEST and ancestor.__name__ == "APIStatusError" and _status(error) >= 500:
                return OVERLOAD
            return kind
    return REQUEST


def model_error(error: BaseException, *, now: str, secrets: Iterable[str] = ()) -> ModelError:
    """The ModelError that stands for ``error``. No string of ``secrets`` survives in its message.

    ``now`` is the clock's wall time; it turns a ``retry-after`` date into seconds.
    """
    kind = kind_of(error)
    if isinstance(error, TypeError) and "authentication" in str(error):
        kind = AUTH
    response = getattr(error, "response", None)
    wait_s = None if response is None else retry_after_s(response.headers, now)
    return ModelError(
        without_secrets(_describe(error), secrets),
        kind=kind,
        wait_s=wait_s if kind in (LIMIT, OVERLOAD) else None,
        hint=_HINTS.get(kind, ""),
        is_free=_is_free(error),
    )


def _is_free(error: BaseException) -> bool | None:
    """Whether the server is known to have produced nothing; None where the kind of the failure has to decide."""
    if isinstance(error, (StreamError, StreamTruncated)):
        return False
    if _status(error) >= 400 or type(_root_cause(error)).__name__ in _UNCONNECTED:
        return True
    return None


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    return text


def retry_after_s(headers: Mapping[str, str], now: str) -> float | None:
    """Seconds to wait by ``retry-after-ms`` or ``retry-after`` (seconds or an HTTP date), None if neither is usable."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            wait_s = float(text) * scale
        except ValueError:
            wait_s = _seconds_until(text, now)
        if math.isfinite(wait_s) and wait_s >= 0:
            return wait_s
    return None


def _seconds_until(date: str, now: str) -> float:
    try:
        return max(0.0, (parsedate_to_datetime(date) - datetime.fromisoformat(now)).total_seconds())
    except (TypeError, ValueError):  # not a date, or one without a zone
        return math.nan


def _status(error: BaseException) -> int:
    status: Any = getattr(error, "status_code", 0)
    return status if isinstance(status, int) else 0


def _describe(error: BaseException) -> str:
    """``the model's server answered 429: …`` with the request's id, which is what a provider's support asks for."""
    status, request_id = _status(error), getattr(error, "request_id", None)
    said = str(getattr(error, "api_message", None) or error or type(error).__name__)
    if (root := _root_cause(error)) is not error and str(root) not in said:
        said = f"{said} ({type(root).__name__}: {root})"
    if len(said) > MAX_MESSAGE_CHARS:
        said = said[: MAX_MESSAGE_CHARS - 1] + "…"
    if isinstance(error, (StreamError, StreamTruncated)):
        return said
    place = f"the model's server answered {status}" if status else f"the model call failed ({type(error).__name__})"
    return f"{place}: {said}" + (f" (request {request_id})" if request_id else "")


def _root_cause(error: BaseException) -> BaseException:
    """What was wrong in the end: "Connection error." does not say that a name could not be resolved."""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            return error
