"""From a target and sensitive attributes to cells: the one place that knows.

A *cell* is a combination of a class and a value of the sensitive attribute, the paper's group
``z = (y, s)``. Several attributes are one joint attribute, whose values are the combinations that
occur. With ``C`` classes and ``S`` attribute values there are ``C * S`` cells, numbered
``y_code * S + s_code``; a cell without a sample is *absent*.
"""

from ._arguments import (
    check_group_columns,
    drop_columns,
    list_columns,
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
from ._cells import (
    FEW_SAMPLES,
    Cells,
    hint_at_units,
    make_cells,
    one_class_in_each_group,
    too_small,
    warn_of_cells_without_judge,
)
from ._missing import check_no_missing_labels, missing_rows, text_is_whole
from ._names import order_of_attributes
from ._plan import plan_cells
from ._rows import check_same_order

__all__ = [
    "FEW_SAMPLES",
    "Attribute",
    "Cells",
    "as_frame",
    "check_group_columns",
    "check_no_missing_labels",
    "check_same_order",
    "drop_columns",
    "encode_attribute",
    "encode_target",
    "encode_together",
    "hint_at_units",
    "list_columns",
    "make_cells",
    "missing_rows",
    "no_attribute",
    "one_class_in_each_group",
    "order_of_attributes",
    "plan_cells",
    "require_groups",
    "take_groups",
    "text_is_whole",
    "too_small",
    "training_cells",
    "validation_codes",
    "warn_of_cells_without_judge",
]
