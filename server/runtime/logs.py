"""Log output: structlog on standard error, as JSON or for people."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from config.settings import LogFormat, LogSettings

SECRET_FIELDS = frozenset({"password", "secret", "token", "api_key", "authorization", "cookie", "blob", "second"})
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up(settings: LogSettings, *, worker: str) -> None:
    """Send every event of this process, and of the libraries' standard logging, to standard error."""
    level = LEVELS[settings.level]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _name_worker(worker),
        mask_secrets,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor]
    match settings.format:
        case LogFormat.JSON:
            final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        case LogFormat.PRETTY:
            # Not the default formatter: it prints local variables, and those may be secrets.
            plain = structlog.dev.plain_traceback
            final = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))  # libraries are quieter than we are: their debug lines hold data


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values of fields that are named like secrets, should one be passed by mistake."""
    for name in SECRET_FIELDS & event.keys():
        event[name] = "***"
    return event


def _name_worker(worker: str) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("worker", worker)
        return event

    return add
