"""The lock of a run folder, which is that of a dataset folder."""

from converters.lock import Holder, locked

__all__ = ["Holder", "locked"]
