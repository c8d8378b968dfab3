"""Embeddings as other programs hand them over: used as they are meant, or told by name."""

import numpy as np
import pandas as pd
import pytest
import torch

from gbmix_sklearn import ERMClassifier


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y, s = np.divmod(np.arange(40) % 4, 2)
    return torch.tensor(rng.normal(size=(40, 6)) + y[:, None], dtype=torch.float32), y, s


def decisions(X, y, s):
    model = ERMClassifier(max_epochs=2, random_state=0).fit(X, y, s, X_val=X, y_val=y, groups_val=s)
    return model.decision_function(X)


class OtherArray:
    """Such as a data set of HDF5: something that NumPy makes an array of."""

    def __init__(self, values):
        self._values = values
        self.shape, self.dtype = values.shape, values.dtype

    def __len__(self):
        return len(self._values)

    def __getitem__(self, rows):
        return self._values[rows]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._values, dtype=dtype)


@pytest.mark.parametrize(
    "form",
    [
        lambda Z: Z,
        lambda Z: Z.requires_grad_(True),
        list,
        lambda Z: list(Z.numpy()),
        lambda Z: pd.Series(list(Z.numpy())),
        lambda Z: pd.Series(Z.tolist(), index=range(7, 47)),
        lambda Z: pd.Series(list(Z)),
        lambda Z: pd.Series(list(Z.numpy())).to_numpy(),
        lambda Z: OtherArray(Z.numpy()),
    ],
)
def test_forms_of_embeddings(data, form):
    Z, y, s = data
    expected = decisions(Z.numpy(), y, s)
    np.testing.assert_array_equal(decisions(form(Z.clone()), y, s), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("form", [lambda Z: Z, list])
def test_precisions_of_tensors(data, dtype, form):
    Z, y, s = data
    Z = Z.to(dtype)
    np.testing.assert_array_equal(decisions(form(Z), y, s), decisions(Z.float().numpy(), y, s))


def test_columns_of_vectors_are_named(data):
    Z, y, s = data
    table = pd.DataFrame({"age": y, "embedding": list(Z.numpy()), "sex": s})
    with pytest.raises(ValueError, match=r"column 'embedding' of X holds vectors: give np\.stack"):
        ERMClassifier().fit(table, y, s)
    with pytest.raises(ValueError, match=r"column 'embedding' of X holds vectors: give np\.stack"):
        ERMClassifier(group_columns="sex").fit(table[["embedding", "sex"]], y)


def test_vectors_of_different_lengths_are_refused(data):
    Z, y, s = data
    rows = list(Z.numpy())
    rows[3] = rows[3][:2]
    with pytest.raises(ValueError, match=r"row 0 has \(6,\), row 3 has \(2,\)"):
        ERMClassifier().fit(pd.Series(rows), y, s)


def test_tokens_are_told_how_to_become_one_vector(data):
    Z, y, s = data
    tokens = np.repeat(Z.numpy()[:, None], 5, axis=1)
    with pytest.raises(ValueError, match=r"X\.mean\(axis=1\)"):
        ERMClassifier().fit(tokens, y, s)
