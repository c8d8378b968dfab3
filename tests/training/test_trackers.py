"""skorch's callbacks for experiment trackers work unchanged, each as its own documentation has it.

The trackers are the extra "trackers"; those that are not installed are skipped.
"""

import math

import pytest
from skorch.callbacks import MlflowLogger, PrintLog, TensorBoard, WandbLogger

from ..estimators.problems import method, problem

X, Y, S = problem()
#: what a tracker shows of each epoch, by the names of the history
SHOWN = {
    *("train_loss", "valid_loss", "worst_group_accuracy", "robust_gap"),
    *("mean_group_accuracy", "average_accuracy", "lr", "dur", "best", "stop"),
}
needs_extra = "is not installed: pip install gbmix-sklearn[trackers]"

# the trackers' own dependencies deprecate things of each other
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def fit_with(callback, **parameters):
    model = method("GBMix", callbacks=[callback], **parameters).fit(X, Y, S)
    untracked = method("GBMix", **parameters).fit(X, Y, S)
    assert model.head_.coef_.tolist() == untracked.head_.coef_.tolist()
    return model


def check_curves(curves, model):
    """Each curve has the numbers of the history, and no number is missing."""
    assert set(curves) == SHOWN
    for name in SHOWN - {"stop", "dur"}:  # the first is no column, the second taken once more
        assert curves[name] == pytest.approx(model.history_[name].astype(float).tolist())
    assert curves["stop"] == [0, 0, 0]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason=f"tensorboard {needs_extra}")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    model = fit_with(TensorBoard(SummaryWriter(tmp_path)))
    events = EventAccumulator(str(tmp_path)).Reload()
    # skorch sorts its names into folders
    curves = {
        tag.rpartition("/")[2].replace("Loss", ""): [event.value for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
    assert {"Loss/train_loss", "Loss/valid_loss"} <= set(events.Tags()["scalars"])
    check_curves(curves, model)


@pytest.fixture(scope="module")
def mlflow_client(tmp_path_factory):
    pytest.importorskip("mlflow", reason=f"mlflow {needs_extra}")
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{tmp_path_factory.mktemp('db')}/mlflow.db")


def test_mlflow(mlflow_client, tmp_path):
    client = mlflow_client
    experiment = client.create_experiment("epochs", artifact_location=str(tmp_path / "artifacts"))
    run = client.create_run(experiment)
    model = fit_with(MlflowLogger(run, client))
    run = client.get_run(run.info.run_id)
    assert run.info.status == "FINISHED"
    histories = {
        name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics
    }
    assert all([m.step for m in history] == [1, 2, 3] for history in histories.values())
    check_curves({n: [m.value for m in history] for n, history in histories.items()}, model)
    artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert artifacts == {"params.pth", "optimizer.pth", "criterion.pth", "history.json"}


def test_mlflow_of_every_batch(mlflow_client, tmp_path):
    client = mlflow_client
    experiment = client.create_experiment("batches", artifact_location=str(tmp_path / "artifacts"))
    run = client.create_run(experiment)
    logger = MlflowLogger(run, client, log_on_batch_end=True, create_artifact=False)
    model = fit_with(logger, batch_size=50)
    losses = client.get_metric_history(run.info.run_id, "train_loss_batch")
    assert [m.step for m in losses] == list(range(1, 3 * math.ceil(160 / 50) + 1))
    last = sum(m.value for m in losses[-4:]) / 4
    assert last == pytest.approx(model.history_["train_loss"].iloc[-1])


def test_weights_and_biases_offline(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason=f"wandb {needs_extra}")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(dir=tmp_path, project="groups", mode="offline") as run:
        logged = []
        log = run.log
        monkeypatch.setattr(run, "log", lambda row: (logged.append(row), log(row)))
        model = fit_with(WandbLogger(run))
        assert len(list(tmp_path.rglob("best_model.pth"))) == 1
        assert (
            run.summary["worst_group_accuracy"] == (model.history_["worst_group_accuracy"].iloc[-1])
        )
    assert list(tmp_path.rglob("*.wandb"))  # what `wandb sync` sends
    check_curves({name: [row[name] for row in logged] for name in logged[0]}, model)


def test_what_loggers_find_in_the_history():
    lines = []
    model = fit_with(PrintLog(sink=lines.append))
    assert "worst_group_accuracy" in lines[0]
    assert len(lines) == 2 + 3
    losses = [epoch["valid_loss"] for epoch in model.net_.history]
    best = [epoch["valid_loss_best"] for epoch in model.net_.history]
    assert best == [loss < min([*losses[:i], math.inf]) for i, loss in enumerate(losses)]
