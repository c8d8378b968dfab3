"""gbmix fit and gbmix predict: from a table to a model, and from there to an audit."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gbmix_sklearn import GBMixClassifier, load_model
from gbmix_sklearn.cli._features import encode
from gbmix_sklearn.cli._models import Model

from .conftest import people

FIT = ["fit", "train.csv", "-t", "y", "-g", "sex", "-o", "model", "--set", "max_epochs=3"]
FIT += ["--set", "lr=0.05"]


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_fit_tells_its_epochs_on_stderr_and_its_groups_on_stdout(gbmix, train):
    output = gbmix(*FIT)
    assert "GBMixClassifier on 320 rows of 3 columns; 80 others choose the epoch" in output.err
    assert [line.split()[1] for line in output.err.splitlines() if line.startswith("epoch")] == [
        "1/3",
        "2/3",
        "3/3",
    ]
    assert "saved the model of epoch" in output.err
    assert "accuracy" in output.out
    assert "epoch" not in output.out
    assert output.out.count("yes") >= 2


def test_json_is_all_that_stdout_gets(gbmix, train):
    output = gbmix(*FIT, "--json", "-q")
    found = json.loads(output.out)
    assert found["method"] == "GBMixClassifier"
    assert found["n_rows"] == 320
    assert found["validation"]["n_samples"] == 80
    assert found["validation"]["summary"]["average_accuracy"] > 0.8
    assert "epoch 1" not in output.err


def test_predictions_are_those_of_the_model_that_was_fitted(gbmix, train, folder):
    gbmix(*FIT)
    people(seed=1).to_csv("test.csv", index=False)
    gbmix("predict", "model", "test.csv", "-o", "p.csv", "--proba")
    found = pd.read_csv("p.csv")
    model = Model.load(folder / "model", "cpu")
    X = encode(model.features, pd.read_csv("test.csv"), "test.csv")
    assert found["prediction"].tolist() == model.classifier.predict(X).tolist()
    np.testing.assert_allclose(
        found[["proba_no", "proba_yes"]], model.classifier.predict_proba(X), atol=1e-6
    )
    assert (found["prediction"] == found["y"]).mean() > 0.8
    audit = gbmix(
        "audit", "p.csv", "-t", "y", "-p", "prediction", "-g", "sex", "--proba", "proba_*"
    )
    assert "The probabilities are furthest off" in " ".join(audit.out.split())


def test_the_rows_stay_as_they_were(gbmix, train, folder):
    gbmix(*FIT)
    lines = ["id,age,height,work,note", "007,50,170.50,office,NA", '008,41,,,"a, b"']
    (folder / "new.csv").write_text("\n".join(lines) + "\n")
    gbmix("predict", "model", "new.csv", "-o", "p.csv")
    new = [line.rsplit(",", 1)[0] for line in (folder / "p.csv").read_text().splitlines()]
    assert new == lines
    gbmix("predict", "model", "new.csv", "-o", "p.parquet", "--drop-features", "--column", "p")
    assert pd.read_parquet("p.parquet").columns.tolist() == ["id", "note", "p"]


def test_predictions_may_go_to_stdout(gbmix, train):
    gbmix(*FIT)
    output = gbmix("predict", "model", "train.csv", "-o", "-")
    assert output.out.splitlines()[0] == "age,height,work,sex,y,prediction"
    assert output.err == ""


def test_the_same_seed_gives_the_same_model_and_another_one_another(gbmix, train, folder):
    weights = []
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        gbmix(*FIT[:7], name, *FIT[8:], "--seed", seed)
        weights.append(next((folder / name).glob("*.safetensors")).read_bytes())
    assert weights[0] == weights[1] != weights[2]


def test_the_classifier_is_what_python_loads(gbmix, train, folder):
    gbmix(*FIT, "--set", "alpha=2", "--seed", 3)
    model = load_model(folder / "model")
    assert isinstance(model, GBMixClassifier)
    assert (model.alpha, model.random_state) == (2, 3)
    assert list(model.feature_names_in_[:3]) == ["age", "height", "height is missing"]


def test_other_rows_may_choose_the_epoch(gbmix, train):
    people(40, seed=2).to_csv("valid.csv", index=False)
    found = json.loads(gbmix(*FIT, "--valid", "valid.csv", "--json").out)
    assert found["n_rows"] == 400
    assert found["validation"]["n_samples"] == 40


def test_without_a_validation_part_there_is_no_report(gbmix, train):
    output = gbmix(*FIT, "--set", "validation_fraction=none")
    assert "400 rows of 3 columns; all epochs are run" in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    ("options", "used"),
    [
        ([], ["age", "height", "work"]),
        (["--exclude", "work"], ["age", "height"]),
        (["--features", "*e*"], ["age", "height", "sex"]),
        (["--features", "age,work", "--exclude", "work"], ["age"]),
    ],
)
def test_features_are_all_others_or_those_that_are_named(gbmix, train, folder, options, used):
    gbmix(*FIT, *options)
    assert Model.load(folder / "model", "cpu").features.names == used


def test_methods_are_named_in_any_way(gbmix, train):
    found = json.loads(gbmix(*FIT, "-m", "group-dro", "--json").out)
    assert found["method"] == "GroupDROClassifier"


def test_a_model_is_replaced_only_on_request(gbmix, train, folder):
    gbmix(*FIT)
    before = files(folder / "model")
    assert "holds a model already; --overwrite" in gbmix(*FIT, code=2).err
    assert files(folder / "model") == before
    gbmix(*FIT, "--seed", 1, "--overwrite")
    assert files(folder / "model") != before
    assert sorted(path.name for path in folder.iterdir()) == ["model", "train.csv"]


def test_other_folders_are_never_replaced(gbmix, train, folder):
    (folder / "model").mkdir()
    (folder / "model" / "thesis.txt").write_text("years of work")
    assert "is no model" in gbmix(*FIT, "--overwrite", code=2).err
    assert (folder / "model" / "thesis.txt").exists()


def test_an_empty_folder_is_taken(gbmix, train, folder):
    (folder / "model").mkdir()
    gbmix(*FIT)
    assert (folder / "model" / "data.json").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
def test_a_fit_that_fails_leaves_the_old_model(gbmix, train, folder, monkeypatch, error):
    gbmix(*FIT)
    before = files(folder)

    def broken(path, write):
        raise error

    monkeypatch.setattr("gbmix_sklearn._saved_files.replace_file", broken)
    gbmix(*FIT, "--overwrite", code=130 if error is KeyboardInterrupt else 2)
    assert files(folder) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-m", "GBMx"], "did you mean 'GBMix'? Methods are GBMix, ERM"),
        (["--set", "alfa=1"], "did you mean 'alpha'?"),
        (["--set", "alpha=none"], "'alpha' parameter of GBMixClassifier must be"),
        (["-t", "z"], "train.csv has no column 'z'"),
        (["-g", "y"], "'y' is the target, and cannot be a group as well"),
        (["--features", "y"], "'y' is the target, and cannot be a feature as well"),
        (["--features", "hight"], "did you mean 'height'?"),
        (["--exclude", "*"], "has no column left"),
        (["--backbone", "resnet18"], "--backbone is about images"),
        (["--image-size", "64"], "--image-size is about images"),
        (["--images", "work", "--features", "age"], "--features and --exclude are for tables"),
        (["--device", "tpu"], "device must be"),
        (["--valid", "none.csv"], "there is no file none.csv"),
    ],
)
def test_what_cannot_be_fitted_is_exit_code_2_and_leaves_nothing(
    gbmix, train, folder, options, message
):
    output = gbmix(*FIT, *options, code=2)
    assert message in output.err
    assert output.out == ""
    assert [path.name for path in folder.iterdir()] == ["train.csv"]


def test_what_cannot_be_predicted_is_exit_code_2(gbmix, train, folder):
    gbmix(*FIT)
    predict = ["predict", "model", "new.csv", "-o", "p.csv"]
    people().rename(columns={"age": "Age"}).to_csv("new.csv", index=False)
    assert "no column 'age'; did you mean 'Age'?" in gbmix(*predict, code=2).err
    people().assign(prediction=1).to_csv("new.csv", index=False)
    assert "has a column 'prediction' already" in gbmix(*predict, code=2).err
    people().assign(proba_no=1).to_csv("new.csv", index=False)
    taken = gbmix(*predict, "--proba", code=2).err
    assert "has a column 'proba_no' already, which --proba adds" in taken
    people().to_csv("new.csv", index=False)
    clash = gbmix(*predict, "--proba", "--column", "proba_yes", code=2).err
    assert "--column must name another" in clash
    people()[:0].to_csv("new.csv", index=False)
    assert "new.csv has no rows" in gbmix(*predict, code=2).err
    assert "name of p does not say" in gbmix(*predict[:3], "-o", "p", code=2).err
    assert "none holds no model" in gbmix("predict", "none", *predict[2:], code=2).err
    load_model("model").save("bare")
    assert "saved by Python code" in gbmix("predict", "bare", *predict[2:], code=2).err
    (folder / "model" / "data.json").write_text("{}")
    assert "data.json cannot be used" in gbmix(*predict, code=2).err
    assert not (folder / "p.csv").exists()


@pytest.fixture
def pictures(folder):
    """Images whose class is their brightness, and a table that names them."""
    rng = np.random.default_rng(0)
    (folder / "faces").mkdir()
    rows = []
    for n in range(80):
        y, s = divmod(n % 4, 2)
        pixels = rng.integers(100 * y, 100 + 100 * y, size=(16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "faces" / f"{n:02}.png")
        rows.append((f"{n:02}.png", y, s))
    pd.DataFrame(rows, columns=["file", "y", "s"]).to_csv("faces/table.csv", index=False)
    return "faces/table.csv"


def test_images_are_fitted_and_predicted_by_their_paths(gbmix, pictures, folder):
    options = ["--backbone", "resnet18", "--image-size", "32", "--set", "pretrained=False"]
    options += ["--set", "trainable=False", "--set", "max_epochs=2", "-q", "--json"]
    images = ["--images", "file", "-t", "y", "-g", "s", "-o", "model"]
    found = json.loads(gbmix("fit", pictures, *images, *options).out)
    assert found["validation"]["n_samples"] == 16
    gbmix("predict", "model", pictures, "-o", "a.csv")
    gbmix("predict", "model", "faces", "-o", "b.csv")
    a, b = pd.read_csv("a.csv"), pd.read_csv("b.csv")
    assert a["prediction"].tolist() == b["prediction"].tolist()
    assert b["path"].tolist() == a["file"].tolist()
    shutil.copy(pictures, "elsewhere.csv")
    error = gbmix("predict", "model", "elsewhere.csv", "-o", "c.csv", code=2).err
    assert "elsewhere.csv: there is no image 00.png, of row 0" in error
    gbmix("predict", "model", "elsewhere.csv", "--root", "faces", "-o", "c.csv")
    assert pd.read_csv("c.csv").equals(a)


class TestKeepTogether:
    """Rows of one household are never on two sides."""

    @pytest.fixture
    def households(self, folder):
        frame = people()
        frame.insert(0, "household", np.arange(400) // 4)
        frame.to_csv("train.csv", index=False)

    def test_no_unit_is_on_two_sides(self, gbmix, households, monkeypatch):
        seen = {}

        def fit(self, X, y, groups=None, *, keep_together=None, **validation):
            seen.update(units=keep_together, n_valid=len(validation["y_val"]))
            return original(self, X, y, groups, keep_together=keep_together, **validation)

        original = GBMixClassifier.fit
        monkeypatch.setattr(GBMixClassifier, "fit", fit)
        found = json.loads(gbmix(*FIT, "--keep-together", "household", "--json").out)
        counts = np.bincount(seen["units"].astype(int), minlength=100)
        assert set(counts) == {0, 4}
        assert found["n_rows"] + seen["n_valid"] == 400
        assert (counts == 0).sum() * 4 == seen["n_valid"]
        assert abs(seen["n_valid"] - 80) <= 4

    @pytest.mark.parametrize("options", [[], ["--features", "*"], ["--features", "age,household"]])
    def test_the_column_is_never_predicted_from(self, gbmix, households, folder, options):
        if options[1:] == ["*"]:
            options = [*options, "--exclude", "y"]
        gbmix(*FIT, "--keep-together", "household", *options)
        assert "household" not in Model.load(folder / "model", "cpu").features.names

    def test_other_rows_that_choose_the_epoch_need_no_such_column(self, gbmix, households):
        people(40, seed=2).to_csv("valid.csv", index=False)
        options = ["--keep-together", "household", "--valid", "valid.csv", "--json"]
        assert json.loads(gbmix(*FIT, *options).out)["n_rows"] == 400

    def test_unusable_columns_are_refused(self, gbmix, households):
        wrong = gbmix(*FIT, "--keep-together", "houshold", code=2)
        assert "did you mean 'household'" in wrong.err
        assert "cannot say as well" in gbmix(*FIT, "--keep-together", "sex", code=2).err
        frame = pd.read_csv("train.csv").astype({"household": object})
        frame.loc[7, "household"] = None
        frame.to_csv("train.csv", index=False)
        message = gbmix(*FIT, "--keep-together", "household", code=2).err
        assert "column 'household' has 1 missing value(s), the first in row 7" in " ".join(
            message.split()
        )
