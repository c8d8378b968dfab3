"""The rounds, with errors that a formula gives instead of fits."""

import numpy as np
import pytest

from gbmix_sklearn.balance import learn_balance, shrunken_errors

from .test_cell_errors import cells_of

COUNTS = [[400, 200], [300, 100]]
#: error of each cell with a share of one; it falls as the share grows
HARD = np.array([0.1, 0.2, 0.3, 0.6])


def model(cells, hard=HARD):
    """Errors that fall with the share of a cell, the first samples of each cell being wrong."""
    within = np.zeros(len(cells.y))
    for cell in cells.present:
        within[cells.members(cell)] = np.arange(cells.counts[cell]) / cells.counts[cell]
    return lambda weights: within < (hard * np.exp(-2 * weights))[cells.codes]


def slowly(errors_of, cells, start, n_rounds, eta, most):
    """The rounds once more, with dictionaries: weights of each, and the round kept."""
    weights = {cell: value / sum(start) for cell, value in enumerate(start)}
    rounds, best = [], 0
    for number in range(n_rounds):
        wrong = errors_of(np.array(list(weights.values())))
        errors = dict(enumerate(shrunken_errors(wrong, cells)))
        known = {cell: e for cell, e in errors.items() if not np.isnan(e)}
        rounds.append((dict(weights), max(known.values()), wrong.mean()))
        affordable = most is None or wrong.mean() <= rounds[0][2] + most
        if rounds[number][1] < rounds[best][1] and affordable:
            best = number
        moving = [cell for cell in known if weights[cell] > 0]
        mean = sum(known[cell] for cell in moving) / len(moving)
        for cell in moving:
            weights[cell] *= np.exp(eta * (known[cell] - mean))
        total = sum(weights.values())
        weights = {cell: value / total for cell, value in weights.items()}
    return rounds, best


@pytest.mark.parametrize("eta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("most", [None, 0.0])
def test_the_rounds_are_those_of_the_formula(eta, most):
    cells = cells_of(COUNTS)
    errors_of, start = model(cells), np.ones(4)
    learned = learn_balance(errors_of, cells, start, n_rounds=6, eta=eta, max_average_loss=most)
    rounds, best = slowly(errors_of, cells, start, 6, eta, most)
    assert learned.best_round == best
    assert learned.weights == pytest.approx(list(rounds[best][0].values()))
    assert len(learned.rounds) == 6
    for (weights, worst, average), (_, row) in zip(rounds, learned.rounds.iterrows(), strict=True):
        shown = [row[f"weight[{label}]"] for label in cells.labels]
        assert shown == pytest.approx(list(weights.values()))
        assert (row["worst"], row["average"]) == pytest.approx((worst, average))


def test_what_is_worst_gains_weight_and_gets_better():
    cells = cells_of(COUNTS)
    learned = learn_balance(model(cells), cells, np.ones(4), eta=2)
    assert learned.best_round > 0
    assert learned.weights.argmax() == 3
    assert learned.weights.sum() == pytest.approx(1)
    assert learned.rounds["worst"].min() < learned.rounds["worst"][0]


def test_the_average_is_kept_where_it_may_not_fall():
    cells = cells_of([[5000, 200], [300, 100]])

    def errors_of(weights):  # the largest cell pays for every other
        return model(cells, np.array([0.9 - 3 * weights[0], 0.2, 0.3, 0.6]))(weights)

    free = learn_balance(errors_of, cells, np.ones(4))
    held = learn_balance(errors_of, cells, np.ones(4), max_average_loss=0.0)
    assert free.rounds["average"][free.best_round] > free.rounds["average"][0]
    assert held.rounds["average"][held.best_round] <= free.rounds["average"][0]


def test_cells_without_training_samples_keep_their_share_of_nothing():
    cells = cells_of(COUNTS)
    learned = learn_balance(model(cells), cells, np.array([1.0, 1.0, 0.0, 1.0]))
    assert learned.weights[2] == 0
    assert learned.weights.sum() == pytest.approx(1)


def test_it_stops_where_the_weights_stand_still():
    cells = cells_of(COUNTS)
    learned = learn_balance(lambda weights: np.zeros(1000, dtype=bool), cells, np.ones(4))
    assert len(learned.rounds) == 1
    assert learned.best_round == 0
    assert learned.rounds["best"].tolist() == [True]


def test_it_tells_of_rounds_and_of_the_best_ones_first():
    cells, told = cells_of(COUNTS), []
    learned = learn_balance(
        model(cells),
        cells,
        np.ones(4),
        n_rounds=4,
        on_best=lambda number: told.append(("best", number)),
        on_round=lambda number, worst, average: told.append(("round", number, worst, average)),
    )
    expected = []
    for number, row in learned.rounds.iterrows():
        expected += [("best", number)] if row["best"] else []
        expected.append(("round", number, row["worst"], row["average"]))
    assert told == expected
