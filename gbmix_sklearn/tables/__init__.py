"""Tables as numbers: one schema, learned once, that every later table is read by."""

from ._encoder import TableEncoder
from ._schema import Schema

__all__ = ["Schema", "TableEncoder"]
