"""From a target and sensitive attributes to cells: the one place that knows.

A *cell* is a combination of a class and a value of the sensitive attribute, the paper's group
``z = (y, s)``. Several attributes are one joint attribute, whose values are the combinations that
occur. With ``C`` classes and ``S`` attribute values there are ``C * S`` cells, numbered
``y_code * S + s_code``; a cell without a sample is *absent*.
"""

from ._arguments import (
    check_group_columns,
    require_groups,
    take_groups,
    training_cells,
    validation_codes,
)
from ._attribute import (
    Attribute,
    as_frame,
    encode_attribute,
    encode_target,
    encode_together,
    no_attribute,
)
from ._cells import Cells, make_cells, too_small

__all__ = [
    "Attribute",
    "Cells",
    "as_frame",
    "check_group_columns",
    "encode_attribute",
    "encode_target",
    "encode_together",
    "make_cells",
    "no_attribute",
    "require_groups",
    "take_groups",
    "too_small",
    "training_cells",
    "validation_codes",
]
