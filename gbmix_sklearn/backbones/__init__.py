"""Backbones: timm models, weights found offline, image preprocessing, embeddings."""

from ._embedder import TimmEmbedder
from ._models import Backbone, create_embedding, create_model, load_backbone

__all__ = ["TimmEmbedder", "Backbone", "create_embedding", "create_model", "load_backbone"]
