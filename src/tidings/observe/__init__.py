"""What an operator sees: logs and traces.

What may enter: readers of what the other rooms say. Nothing here decides anything, and the core never calls it.
"""

from tidings.observe.logs import configure_logging, redact_uvicorn, redacted
from tidings.observe.trace import TraceMiddleware, current_trace_id, new_trace_id, parse_traceparent

__all__ = [
    "TraceMiddleware",
    "configure_logging",
    "current_trace_id",
    "new_trace_id",
    "parse_traceparent",
    "redact_uvicorn",
    "redacted",
]
