"""Last-layer refit on held-out data."""

from ._afr import afr_head
from ._balanced import check_refit_classes, refit_head
from ._held_out import deal_out
from ._learned import LearnedHead, learned_head
from ._linear import linear_decision, linear_head, linear_probabilities, set_weights
from ._meta import LastLayerRefit
from ._recipe import RECIPES, LearnedRecipe, Recipe, find_recipe, scaled_by_training
from ._repaired import repaired_error
from ._scaling import scaling_of, sparse_scale, standardised, unit_where_constant

__all__ = [
    "LastLayerRefit",
    "LearnedHead",
    "LearnedRecipe",
    "RECIPES",
    "Recipe",
    "afr_head",
    "check_refit_classes",
    "deal_out",
    "find_recipe",
    "learned_head",
    "linear_decision",
    "linear_head",
    "linear_probabilities",
    "refit_head",
    "repaired_error",
    "scaled_by_training",
    "scaling_of",
    "set_weights",
    "sparse_scale",
    "standardised",
    "unit_where_constant",
]
