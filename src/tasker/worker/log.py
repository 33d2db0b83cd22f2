"""The log of workers. structlog takes a quarter of a second to import: it is, when there is something to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class _Log:
    def __getattr__(self, name: str) -> Any:
        import structlog

        return getattr(structlog.get_logger("tasker.worker"), name)


log = cast("FilteringBoundLogger", _Log())


def words(error: BaseException) -> str:
    """What an error says, or at least what it is."""
    return str(error) or type(error).__name__
