"""Labels, groups and weights of every kind, for the oracle tests."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

LABELS = {
    "int": [0, 1, 2],
    "negative and gapped": [-7, 3, 40],
    "bool": [False, True],
    "str": ["no", "yes", "may be"],
    "float": [0.0, 1.0, 2.0],
    "unicode": ["ß", "λ", ""],
    "fractions": [0.5, 1.5, 2.0],
    "mixed": ["a", 1, "b"],
}
# predictions of these look like a mistake beside true labels that are all whole or all numbers
NEED_ALL_LABELS = ("fractions", "mixed")


def contained(draw, values):
    """The values in one of the containers that users have them in."""
    makers = [
        list,
        tuple,
        lambda v: np.array(v, dtype=object),
        pd.Series,
        lambda v: pd.Series(v, index=np.arange(len(v))[::-1] * 3),
        pd.Categorical,
        lambda v: pd.Series(pd.Categorical(v)),
    ]
    if len({type(value) for value in values}) == 1:
        makers.append(np.array)
    return draw(st.sampled_from(makers))(values)


@st.composite
def scored_samples(draw, n_attributes=(1, 2)):
    """(plain y_true, y_pred, groups rows, weights), and the same in containers."""
    kind = draw(st.sampled_from(sorted(LABELS)))
    label = st.sampled_from(LABELS[kind])
    first = LABELS[kind] if kind in NEED_ALL_LABELS else [draw(label)]
    y_true = first + draw(st.lists(label, max_size=15))
    n = len(y_true)
    y_pred = draw(st.lists(label, min_size=n, max_size=n))
    attributes = [
        draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))
        for values in draw(
            st.lists(
                st.sampled_from([["f", "m"], [0, 1, 5], [True, False], [-1.5, 2.0]]),
                min_size=n_attributes[0],
                max_size=n_attributes[1],
            )
        )
    ]
    weights = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.25]), min_size=n, max_size=n))
    rows = list(zip(*attributes, strict=True))
    if len(attributes) == 1:
        groups = contained(draw, attributes[0])
    else:
        frame = pd.DataFrame({f"s{i}": values for i, values in enumerate(attributes)})
        groups = draw(st.sampled_from([frame, frame.to_numpy(dtype=object), list(rows)]))
    return (y_true, y_pred, rows, weights), (
        contained(draw, y_true),
        contained(draw, y_pred),
        groups,
        draw(st.sampled_from([weights, np.array(weights), pd.Series(weights)])),
    )
