"""Tables of results have what the papers print, row by row, with its protocol and its errata."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from goingdeeper.errors import UsageError
from goingdeeper.published.results import tables
from goingdeeper.tables.grid import text
from goingdeeper.tables.results import data, results_grid, rows_of


def shown(name: str, pattern: str = "*", width: int = 120) -> str:
    return text(results_grid(name, rows_of(name, pattern)), width)


@pytest.fixture(scope="module")
def reference():
    """The sheet of figures that the tables were entered from."""
    folder = os.environ.get("GOINGDEEPER_TEST_DATA")
    sheet = Path(folder).parent / "reference" / "published.toml" if folder else None
    if sheet is None or not sheet.is_file():
        pytest.skip("no reference/published.toml beside the folder that GOINGDEEPER_TEST_DATA names")
    return tomllib.loads(sheet.read_text("utf-8"))["result"]


@pytest.mark.parametrize("name", [name for name in tables() if name != "other"])
def test_every_row_of_the_sheet_is_there_in_its_order(name, reference):
    entries = [entry for entry in reference if entry["table"] == name]
    head, body, _ = re.split(r"^-+$", shown(name), flags=re.MULTILINE)
    lines = body.strip().splitlines()
    assert "top-" in head and len(lines) == len(entries) > 0
    for line, entry in zip(lines, entries, strict=True):
        cells = line.split()
        # Its head has a description of its own by now.
        factorized = entry.get("row") == "Inception-v2 Factorized 7x7"
        assert ("inception-v2-factorized-7x7" if factorized else entry["network"]) in cells
        for figure in ("top1_error", "top5_error", "layers", "cost"):
            if figure in entry:
                assert any(cell == str(entry[figure]) for cell in cells), (line, figure)


def test_the_row_that_is_printed_wrong_has_its_erratum():
    """Szegedy et al. 2014, Table 3: 10.07 - 6.67 is 3.40, and 3.45 is printed."""
    lines = shown("googlenet-table3").splitlines()
    assert [line.split() for line in lines if "-3.45" in line] == [
        ["googlenet", "7", "models", "144", "crops", "1008", "6.67", "-3.45", "[1]"]
    ]
    assert lines[-1] == "[1] 10.07 - 6.67 = 3.40."


def test_what_all_rows_share_stands_above_the_table():
    assert shown("resnet-table2").splitlines()[1] == "ImageNet, validation, 1 model, 10 crops"
    assert shown("resnet-table6").splitlines()[1] == "CIFAR-10, test, 1 model, 1 crop"


def test_a_mean_of_runs_and_a_reading_of_a_figure_are_told_from_a_result():
    """He et al. 2015, Table 6 and Figure 6."""
    assert "6.43 (6.61 +- 0.16)" in shown("resnet-table6", "cifar-resnet-110-a")
    read = shown("other", "cifar-plain-*")
    assert [line.split()[-1] for line in read.splitlines() if line.startswith("cifar")] == [
        "~9.0", "~13.0", ">60.0",
    ]  # fmt: skip
    assert "Figure 6" in read


def test_a_narrow_table_leaves_columns_out_and_says_so():
    narrow = shown("rethinking-table4", width=60)
    assert max(map(len, narrow.splitlines())) <= 60
    assert narrow.endswith("left out for want of room: images, row")
    assert "4.2" in narrow and "bn-inception-released [2]" in narrow


def test_a_row_as_data():
    (row,) = rows_of("resnet-table5", "resnet")
    assert {"models": 6, "top5_error": 3.57, "errata": {}}.items() <= data(row).items()


def test_a_table_or_network_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="did you mean resnet-table3"):
        rows_of("resnet-tabel3")
    with pytest.raises(UsageError, match="no network of resnet-table3 matches 'alexnet'"):
        rows_of("resnet-table3", "alexnet")
