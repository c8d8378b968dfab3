"""Audits by group and model cards; nothing in here imports torch."""

from ._audit import GroupAudit
from ._card import model_card
from ._compare import AuditComparison

__all__ = ["GroupAudit", "AuditComparison", "model_card"]
