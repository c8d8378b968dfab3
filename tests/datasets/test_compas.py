import csv
import hashlib
import tarfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import load_compas
from gbmix_sklearn.datasets import _compas
from gbmix_sklearn.groups import make_cells

NAME = "compas-scores-two-years.csv"
COLUMNS = [
    *("id", "age", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count"),
    *("c_charge_degree", "c_charge_desc", "sex", "race", "age_cat", "decile_score"),
    *("days_b_screening_arrest", "is_recid", "score_text", "two_year_recid"),
]


@pytest.fixture(scope="module")
def published(development_data, tmp_path_factory):
    """The published file, out of the development data."""
    archive = development_data / "tabular.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} not found")
    folder = tmp_path_factory.mktemp("compas")
    with tarfile.open(archive) as tar:
        (folder / NAME).write_bytes(tar.extractfile(f"tabular/{NAME}").read())
    return folder / NAME


@pytest.fixture
def rows():
    """Made-up people, four for each combination of race, sex and outcome."""
    people = []
    for number in range(4 * 3 * 2 * 2):
        recid = number % 2
        sex = ("Male", "Female")[number // 2 % 2]
        race = ("Caucasian", "African-American", "Other")[number // 4 % 3]
        people.append(
            [
                *(number, 20 + number, 0, 0, 1, number % 5, "F", "Theft, petty", sex, race),
                *("25 - 45", 5, -1, recid, "Low", recid),
            ]
        )
    return people


@pytest.fixture
def write(tmp_path):
    def write(rows, columns=COLUMNS, name=NAME):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([columns, *rows])
        return tmp_path / name

    return write


def change(row, **values):
    return [values.get(name, value) for name, value in zip(COLUMNS, row, strict=True)]


@pytest.fixture
def serve(monkeypatch):
    """Serve one answer on the loopback and point the loader to it; returns the paths asked for."""
    servers = []

    def serve(content, sha256=None, length=None, status=200):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(length or len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(_compas, "URL", f"http://127.0.0.1:{server.server_port}/{NAME}")
        monkeypatch.setattr(_compas, "SHA256", sha256 or hashlib.sha256(content).hexdigest())
        return asked

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_published_file_has_the_known_checksum_and_counts(published):
    assert hashlib.sha256(published.read_bytes()).hexdigest() == _compas.SHA256
    everyone = load_compas(published, filtered=False)
    assert len(everyone.data) == 7214
    assert everyone.target.sum() == 3251
    # the counts of ProPublica's analysis
    compas = load_compas(published)
    assert compas.data.shape == (6172, 8)
    assert compas.target.sum() == 2809
    assert compas.groups.value_counts().to_dict() == {
        "African-American": 3175,
        "Caucasian": 2103,
        "Hispanic": 509,
        "Other": 343,
        "Asian": 31,
        "Native American": 11,
    }
    assert (compas.data["sex"] == "Female").sum() == 1175
    assert load_compas(published, groups="age_cat").groups.value_counts().to_dict() == {
        "25 - 45": 3532,
        "Less than 25": 1347,
        "Greater than 45": 1293,
    }


def test_published_file_agrees_with_pandas(published):
    table = pd.read_csv(published)
    compas = load_compas(published, filtered=False)
    for name in compas.feature_names:
        assert compas.data[name].tolist() == table[name].tolist()
    assert compas.target.tolist() == table["two_year_recid"].tolist()


def test_rare_races_can_be_merged_in_the_groups(published):
    compas = load_compas(published, groups=["sex", "race"], merge_rare_races=True)
    assert compas.groups["race"].value_counts().to_dict() == {
        "African-American": 3175,
        "Caucasian": 2103,
        "Hispanic": 509,
        "Other": 343 + 31 + 11,
    }
    assert (compas.data["race"] == "Asian").sum() == 31


def test_features_have_neither_the_score_nor_the_outcome(write, rows):
    compas = load_compas(write(rows))
    assert compas.feature_names == [
        *("age", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count"),
        *("c_charge_degree", "sex", "race"),
    ]
    assert list(compas.data.columns) == compas.feature_names
    assert list(compas.frame.columns) == [*compas.feature_names, "two_year_recid"]
    assert (compas.data.dtypes.iloc[:5] == "int64").all()
    assert (compas.data.dtypes.iloc[5:] == "category").all()
    assert compas.target.dtype == "int64"
    assert len(compas.target_names) == 2


@pytest.mark.parametrize(
    "dropped",
    [
        {"days_b_screening_arrest": 31},
        {"days_b_screening_arrest": -31},
        {"days_b_screening_arrest": ""},
        {"is_recid": -1},
        {"c_charge_degree": "O"},
        {"score_text": "N/A"},
    ],
)
def test_filter_drops_what_the_analysis_drops(write, rows, dropped):
    rows[0] = change(rows[0], days_b_screening_arrest=30)
    rows[1] = change(rows[1], days_b_screening_arrest="-30.0")
    rows[7] = change(rows[7], **dropped)
    file = write(rows)
    compas = load_compas(file)
    assert compas.data["age"].tolist() == [row[1] for row in rows if row[0] != 7]
    assert compas.data.index.equals(pd.RangeIndex(len(rows) - 1))
    assert len(load_compas(file, filtered=False).data) == len(rows)


def test_path_may_be_the_folder(write, rows):
    file = write(rows)
    assert load_compas(file.parent).frame.equals(load_compas(str(file)).frame)


def test_split_has_the_same_share_of_every_cell(published):
    compas = load_compas(published, validation_fraction=0.1, test_fraction=0.3)
    cells = make_cells(compas.target, compas.groups).codes
    counts = np.array([np.bincount(cells[compas.split == part]) for part in range(3)])
    shares = np.array([[0.6], [0.1], [0.3]])
    assert (np.abs(counts - shares * counts.sum(axis=0)) < 1).all()


def test_split_follows_the_seed_and_leaves_the_global_state_alone(write, rows):
    file = write(rows)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    default, zero, other = (
        load_compas(file, **seed).split for seed in ({}, {"random_state": 0}, {"random_state": 1})
    )
    np.testing.assert_array_equal(default, zero)
    assert (default != other).any()
    assert set(default) == {0, 1, 2}
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_download_happens_once(write, rows, serve, tmp_path):
    content = write(rows).read_bytes()
    asked = serve(content)
    home = tmp_path / "home"
    first = load_compas(data_home=home)
    assert (home / NAME).read_bytes() == content
    again = load_compas(data_home=home, download_if_missing=False)
    assert again.frame.equals(first.frame)
    assert asked == [f"/{NAME}"]
    assert [entry.name for entry in home.iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"content": b"half", "sha256": "0" * 64}, "not the expected file: 4 bytes with SHA-256"),
        ({"content": b"half", "length": 9}, "could not download|not the expected file"),
        ({"content": b"", "length": 0, "status": 404}, "could not download .*HTTP Error 404"),
    ],
)
def test_failed_download_says_what_to_do_and_leaves_nothing(serve, tmp_path, answer, message):
    serve(**{"sha256": "1" * 64, **answer})
    with pytest.raises(OSError, match=message) as caught:
        load_compas(data_home=tmp_path)
    text = str(caught.value)
    assert _compas.URL in text
    assert f"by hand and save it as {tmp_path / NAME}, or give its place as path=" in text
    assert list(tmp_path.iterdir()) == []


def test_missing_network_is_an_error_that_names_the_file(monkeypatch, tmp_path):
    monkeypatch.setattr(_compas, "URL", (tmp_path / "nowhere.csv").as_uri())
    with pytest.raises(OSError, match=r"could not download file://.*by hand"):
        load_compas(data_home=tmp_path / "home")
    assert list((tmp_path / "home").iterdir()) == []


def test_downloads_can_be_forbidden(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"download_if_missing is False. Download https://"):
        load_compas(data_home=tmp_path, download_if_missing=False)


def test_changed_file_in_the_data_folder_is_refused(write, rows):
    file = write(rows)
    with pytest.raises(OSError, match="is not the file that was published: its SHA-256 is"):
        load_compas(data_home=file.parent)


def test_missing_path_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{NAME} does not exist.*downloaded from https"):
        load_compas(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"other\.csv does not exist"):
        load_compas(tmp_path / "other.csv")


def test_missing_columns_are_named(write, rows):
    file = write([row[:-2] for row in rows], COLUMNS[:-2])
    with pytest.raises(ValueError, match=rf"{NAME} has no column two_year_recid, score_text; is"):
        load_compas(file)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("age", "old", "age is 'old', expected a whole number"),
        ("age", "30.5", "age is '30.5', expected a whole number"),
        ("priors_count", "", "priors_count is '', expected a whole number"),
        ("days_b_screening_arrest", "x", "days_b_screening_arrest is 'x'"),
        ("two_year_recid", 2, "two_year_recid is '2', expected 0 or 1"),
        ("race", "", "race is '', expected some text"),
    ],
)
def test_bad_cells_are_named_with_their_line(write, rows, name, value, message):
    rows[0] = change(rows[0], c_charge_desc="two\nlines")
    rows[2] = change(rows[2], **{name: value})
    with pytest.raises(ValueError, match=rf"{NAME}, line 5: {message}"):
        load_compas(write(rows))


def test_cut_off_line_is_named(write, rows):
    file = write(rows)
    content = file.read_bytes().rstrip()
    file.write_bytes(content[: content.rindex(b",")])
    with pytest.raises(
        ValueError, match=rf"{NAME}, line {len(rows) + 1}: 15 fields.*header has 16"
    ):
        load_compas(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column age"),
        (b"<!DOCTYPE html>\n<html>", "has no column age"),
        (",".join(COLUMNS).encode(), "a header and no rows"),
        (",".join(COLUMNS).encode() + b'\n1,"open', "line 2: unexpected end of data"),
        (",".join(COLUMNS).encode() + b"\n\xff\xfe", "line .*codec can't decode"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, message):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{NAME}.*{message}"):
        load_compas(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"groups": "age"}, r"groups must be one of \['race', 'sex', 'age_cat'\].*got 'age'"),
        ({"test_fraction": 1.5}, "test_fraction must be a number in"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, r"validation_fraction \+ test_fracti"),
    ],
)
def test_bad_parameters_are_refused_before_any_download(monkeypatch, tmp_path, parameters, message):
    monkeypatch.setattr(_compas, "download", lambda *_: pytest.fail("downloaded"))
    with pytest.raises(ValueError, match=message):
        load_compas(data_home=tmp_path, **parameters)
