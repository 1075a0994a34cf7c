"""What is kept of a sign-in: one audit event and one log event, neither with a secret."""

from __future__ import annotations

import structlog

from auth_backends.accounts import typed_name
from auth_backends.api import Decision, Granted, Refused
from auth_backends.case import Case
from storage.database.names import shown
from storage.database.store import Store

log = structlog.get_logger(__name__)

KIND = "login"
ALARM = "break_glass.used"


def outcome_of(decision: Decision) -> tuple[str, str]:
    """Give the outcome and the reason as the audit trail spells them."""
    match decision:
        case Granted():
            return "granted", "granted"
        case Refused():
            return "refused", decision.reason.value
        case _:
            return "try_later", decision.reason.value


def record(store: Store, case: Case, decision: Decision) -> None:
    """Write the audit event of this attempt. Raises StoreError if it can't be written.

    Before that, an emergency account that comes in leaves an event of its own, which an alarm can wait for.
    """
    outcome, reason = outcome_of(decision)
    subject = shown(_subject(case))
    if _is_alarm(decision):
        store.audit.add(
            ALARM,
            subject,
            subject,
            outcome,
            reason,
            front_end=case.attempt.front_end.value,
            peer=str(case.attempt.peer),
            detail=_detail(case),
        )
    store.audit.add(
        KIND,
        subject,
        subject,
        outcome,
        reason,
        front_end=case.attempt.front_end.value,
        peer=str(case.attempt.peer),
        detail=_detail(case),
    )


def tell(case: Case, decision: Decision) -> None:
    """Log the decision; anything about an emergency account, and whatever nobody could tell, as a warning."""
    outcome, reason = outcome_of(decision)
    alarm = case.account is not None and case.account.user.break_glass
    if _is_alarm(decision):
        log.warning(ALARM, user=shown(_subject(case)), peer=str(case.attempt.peer), attempt=case.attempt.id)
    write = log.warning if alarm or outcome == "try_later" else log.info
    write(
        "sign_in",
        outcome=outcome,
        reason=reason,
        user=shown(_subject(case)),
        front_end=case.attempt.front_end.value,
        credential=case.kind.value,
        peer=str(case.attempt.peer),
        attempt=case.attempt.id,
        break_glass=alarm,
        note=case.note,
    )


def where(error: BaseException) -> list[str]:
    """Name the functions and lines that an error came through.

    Only these: an error's message and its frames' variables may hold a password.
    """
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places


def _is_alarm(decision: Decision) -> bool:
    return isinstance(decision, Granted) and decision.principal.user.break_glass


def _subject(case: Case) -> str:
    if case.account is not None:
        return case.account.user.name
    return case.name or typed_name(case.attempt.credential)


def _detail(case: Case) -> dict[str, object]:
    detail: dict[str, object] = {"attempt": case.attempt.id, "credential": case.kind.value}
    if case.account is not None:
        detail["user_id"] = case.account.user.id
        detail["method"] = case.account.user.method.value
        if case.account.credential is not None:
            detail["credential_id"] = case.account.credential.id
        if case.account.user.break_glass:
            detail["alarm"] = "break_glass"
    if case.cached:
        detail["cached"] = True
    if case.note:
        detail["note"] = shown(case.note)
    return detail
