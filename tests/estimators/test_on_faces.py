"""The known effects of the methods, on real faces."""

import tarfile

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from gbmix_sklearn import (
    TimmEmbedder,
    subgroup_train_test_split,
    worst_group_accuracy_score,
)
from gbmix_sklearn.estimators import METHODS

#: mean gain of the worst group over ERM, in points, that counts as an effect
EFFECT = 5.0


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def embedded_faces(archive_path, folder):
    """Frozen ImageNet embeddings of UTKFace, with the paper's age bands and races."""
    with tarfile.open(archive_path) as archive:
        archive.extractall(folder, filter="data")
    paths = sorted((folder / "UTKFace").glob("*.jpg"))
    paths = [path for path in paths if path.name.count("_") == 3]  # some lack the race
    fields = np.array([path.name.split("_")[:3] for path in paths], dtype=int)
    X = TimmEmbedder("tf_efficientnet_lite0", image_size=64).transform(paths)
    return X, np.digitize(fields[:, 0], [20, 60]), np.minimum(fields[:, 2], 2)


def worst_group(model, faces, seed):
    """Worst-group accuracy on test data, in per cent."""
    parts = subgroup_train_test_split(*faces, test_size=0.4, random_state=seed)
    X_train, X_test, y_train, y_test, s_train, s_test = parts
    scaler = StandardScaler().fit(X_train)
    model.fit(scaler.transform(X_train), y_train, s_train)
    predicted = model.predict(scaler.transform(X_test))
    return 100 * worst_group_accuracy_score(y_test, predicted, groups=s_test)


# some faces are there twice, under names of different people
@pytest.mark.filterwarnings("ignore::gbmix_sklearn.DuplicateSamplesWarning")
# one test, so that parallel test processes embed the faces once
def test_balancing_groups_raises_the_worst_one_and_mixing_alone_does_not(
    development_data, tmp_path
):
    faces = embedded_faces(development_data / "utkface.tar", tmp_path)
    worst = {
        name: np.mean([worst_group(METHODS[name](random_state=s), faces, s) for s in range(3)])
        for name in ("ERM", "Mixup", "RWG", "GroupDRO", "DFR")
    }
    for name in ("RWG", "GroupDRO", "DFR"):
        assert worst[name] >= worst["ERM"] + EFFECT, worst
    assert worst["Mixup"] < worst["ERM"] + EFFECT, worst
