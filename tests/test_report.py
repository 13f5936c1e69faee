"""The report is one page that opens anywhere and shows every drug's own predictions."""

import base64
import gzip
import hashlib
import json
import random
import re
from pathlib import Path

import chromium
import numpy as np
import polars as pl
import pytest
from answers import describe_drugs
from experiments import (
    assert_is_refused,
    call_script,
    run_script,
    scatter_errors,
    write_experiment,
    write_json,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from waiting import PATIENCE

from hed.answers.report import packing, page

VENDOR = Path(page.__file__).parent / "vendor"
# What would run, or end the script that holds the data, if it were not escaped.
EVIL = "</script><script>document.title='broken'</script><b>\"'&"
DRUGS = 30
DATA = "3,600 responses of 24 drugs in 150 cells, from CCLE & GDSCv2"
CONSTANT = 8  # its predictions have no correlation with anything
pytestmark = pytest.mark.xdist_group("chromium")


def write_predicted(directory):
    """Write an experiment of 30 drugs, one with a hostile name, and a run that is not done."""
    experiment = write_experiment(directory, ["done"] * DRUGS + ["running"])
    described = json.loads((experiment / "experiment.json").read_text())
    described["runs"][3]["held_out"] = EVIL
    described["about_data"] = [DATA]
    write_json(experiment / "experiment.json", described)
    draw = random.Random(0)
    for index in range(DRUGS):
        cells = sorted(draw.sample(range(60), 40))
        lines = [f"{draw.random():.4f},{draw.random():.4f},ACH-{cell:06d}\n" for cell in cells]
        if index == CONSTANT:
            lines = [f"{draw.random():.4f},0.5000,{line.split(',')[2]}" for line in lines]
        draw.shuffle(lines)
        run = experiment / "run" / f"RUN{index:03d}"
        (run / "test_y_data_predicted.csv").write_text(
            "auc_true,auc_pred,labels\n" + "".join(lines)
        )
    return experiment


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    directory = write_predicted(place / "EXP000")
    # Each drug is its number; the last is held out by no run.
    describe_drugs(directory, [*range(DRUGS), -0.4], further=["Stranger"])
    others = [write_predicted(place / f"{EVIL[-3:]}{seed}") for seed in (1, 2)]
    for seed, other in enumerate(others):
        scatter_errors(other, seed=seed)
    # As on a cluster before the first run has ended.
    (directory / ".pilot").mkdir()
    call_script("report.py", directory, "--beside", *others)
    return directory


@pytest.fixture(scope="module")
def browser():
    driver = chromium.start()
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, experiment):
    chromium.resize(browser, 1200)
    browser.get(chromium.address(experiment / "report.html"))
    return browser


def names(browser):
    """Return the drugs that the table shows."""
    return [button.text for button in browser.find_elements(By.CSS_SELECTOR, "button.open")]


def search(browser, text):
    """Type into the search box."""
    field = browser.find_element(By.CSS_SELECTOR, ".dt-search input")
    field.send_keys(text)
    return field


def heading(browser, name):
    """Return the heading of a column."""
    return browser.find_element(By.XPATH, f"//thead//th[contains(., '{name}')]")


def open_drug(browser, name):
    """Open a drug by the keyboard; return the button."""
    button = browser.find_element(By.XPATH, f"//button[.='{name}']")
    button.send_keys(Keys.ENTER)
    WebDriverWait(browser, PATIENCE).until(lambda b: b.find_element(By.ID, "drug").is_displayed())
    return button


def overflow(browser, selector):
    """Return by how many pixels an element is wider than the room it has."""
    script = "const e = document.querySelector(arguments[0]); return e.scrollWidth - e.clientWidth"
    return browser.execute_script(script, selector)


def worst_cells(browser):
    """Return the table of the worst predictions: cell, true, predicted, error."""
    rows = browser.find_elements(By.CSS_SELECTOR, "#worst tbody tr")
    return [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]


def test_the_page_loads_in_silence_and_from_nowhere_else(opened):
    assert "EXP000" in opened.title
    assert opened.get_log("browser") == []
    loaded = "return performance.getEntriesByType('resource').map((e) => e.name)"
    assert [name for name in opened.execute_script(loaded) if not name.startswith("data:")] == []
    assert opened.execute_script("return [...document.images].every((i) => i.naturalWidth > 100)")


def test_searching_leaves_the_drugs_that_match(opened):
    assert len(names(opened)) == 25
    search(opened, "drug-17")
    assert names(opened) == ["Drug-17"]


def test_a_search_without_a_match_says_so(opened):
    search(opened, "nothing like it")
    assert "no drug matches" in opened.find_element(By.ID, "table").text


def await_order(browser, column, order):
    """Wait until a column says that it is sorted so: a busy machine takes its time."""
    WebDriverWait(browser, PATIENCE).until(lambda _: column.get_attribute("aria-sort") == order)


def test_the_keyboard_sorts_by_a_column_and_screen_readers_hear_it(opened):
    column = heading(opened, "index")
    assert column.get_attribute("aria-sort") is None
    control = column.find_element(By.CSS_SELECTOR, "[tabindex='0']")
    control.send_keys(Keys.ENTER)
    await_order(opened, column, "ascending")
    assert names(opened)[:3] == ["Drug-0", "Drug-1", "Drug-2"]
    control.send_keys(Keys.ENTER)
    await_order(opened, column, "descending")
    assert names(opened)[0] == "Drug-29"


def test_scores_are_sorted_as_numbers_where_some_are_undefined(opened):
    column = heading(opened, "pcc")
    column.find_element(By.CSS_SELECTOR, "[tabindex='0']").click()
    # The table is drawn anew.
    await_order(opened, column, "ascending")
    cells = opened.find_elements(By.CSS_SELECTOR, "#table tbody tr td:last-child")
    undefined, *values = [cell.text for cell in cells]
    assert undefined == "–"
    assert [float(value) for value in values] == sorted(map(float, values))
    assert float(values[0]) < 0 < float(values[-1])


def test_a_drug_opens_its_own_predictions(opened, experiment):
    search(opened, "Drug-17")
    open_drug(opened, "Drug-17")
    assert opened.find_element(By.ID, "drug-name").text == "Drug-17"
    assert "RUN017, index 17; 40 rows" in opened.find_element(By.ID, "drug-place").text
    table = pl.read_csv(experiment / "run/RUN017/test_y_data_predicted.csv").with_columns(
        error=pl.col("auc_pred") - pl.col("auc_true")
    )
    worst = table.sort(pl.col("error").abs(), descending=True).head(page.WORST_CELLS)
    expected = worst.select("labels", "auc_true", "auc_pred", "error").rows()
    assert worst_cells(opened) == [[row[0], *(f"{v:.4f}" for v in row[1:])] for row in expected]
    points = "return Chart.getChart('chart').data.datasets[0].data.map((p) => [p.cell, p.x, p.y])"
    drawn = {(c, round(x, 4), round(y, 4)) for c, x, y in opened.execute_script(points)}
    assert drawn == set(table.select("labels", "auc_true", "auc_pred").rows())
    assert opened.get_log("browser") == []


def test_a_drug_leads_to_those_that_are_most_similar(opened):
    search(opened, "Drug-0")
    open_drug(opened, "Drug-0")
    lines = [line.text for line in opened.find_elements(By.CSS_SELECTOR, "#nearest li")]
    assert lines[0] == "Stranger: was not held out"
    assert re.match(r"Drug-1: rmse 0\.\d{4}$", lines[1])
    assert lines[2].startswith("Drug-2: ")
    opened.find_element(By.XPATH, "//*[@id='nearest']//button[.='Drug-1']").click()
    name = opened.find_element(By.ID, "drug-name")
    WebDriverWait(opened, PATIENCE).until(lambda _: name.text == "Drug-1")
    assert "index 1;" in opened.find_element(By.ID, "drug-place").text
    assert opened.get_log("browser") == []


def test_other_experiments_stand_beside_this_one(opened):
    rows = opened.find_elements(By.CSS_SELECTOR, ".levels tbody tr")
    models = {row.find_element(By.TAG_NAME, "th").text for row in rows}
    assert models == {"EXP000", f"{EVIL[-3:]}1", f"{EVIL[-3:]}2"}
    search(opened, "Drug-17")
    open_drug(opened, "Drug-17")
    facts = [fact.text for fact in opened.find_elements(By.CSS_SELECTOR, "#drug-facts dt")]
    assert f"{EVIL[-3:]}1 rmse" in facts


def test_escape_closes_a_drug_and_returns_to_where_it_was_opened(opened):
    search(opened, "Drug-5")
    button = open_drug(opened, "Drug-5")
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not opened.find_element(By.ID, "drug").is_displayed()
    assert opened.switch_to.active_element == button


def test_the_focus_is_seen_wherever_the_tabulator_key_leads(opened):
    field = search(opened, "")
    visited = []
    for _ in range(14):
        opened.switch_to.active_element.send_keys(Keys.TAB) if visited else field.send_keys(
            Keys.TAB
        )
        at = opened.switch_to.active_element
        visited.append(at.get_attribute("class"))
        assert at.value_of_css_property("outline-style") == "solid", visited
        assert at.value_of_css_property("outline-width") == "3px", visited
    assert "open" in visited


@pytest.mark.parametrize("width", [400, 320])
def test_a_narrow_screen_has_no_overflow(opened, width):
    chromium.resize(opened, width)
    opened.refresh()
    assert opened.execute_script("return innerWidth") == width
    assert overflow(opened, "html") == 0
    open_drug(opened, names(opened)[0])
    assert overflow(opened, "#drug") == 0
    assert overflow(opened, "html") == 0


def test_a_drugs_name_is_text_whatever_it_says(opened):
    search(opened, "broken")
    assert names(opened) == [EVIL]
    opened.find_element(By.CSS_SELECTOR, "button.open").click()
    WebDriverWait(opened, PATIENCE).until(lambda b: b.find_element(By.ID, "drug").is_displayed())
    assert opened.find_element(By.ID, "drug-name").text == EVIL
    assert "EXP000" in opened.title
    assert opened.find_elements(By.CSS_SELECTOR, "#drug-name b, #table b") == []


def test_the_page_says_which_runs_and_figures_are_missing(opened):
    notes = " ".join(note.text for note in opened.find_elements(By.CSS_SELECTOR, "p.note"))
    assert "1 of 31 runs missing: RUN030" in notes
    assert "“Runs on tiles” is left out" in notes


def decode(packed):
    """Return what was packed as rows of run, cell, true, predicted, by other means."""
    planes = np.frombuffer(gzip.decompress(base64.b64decode(packed.columns)), np.uint8)
    weights = 256 ** np.arange(4)[:, None]
    cell, true, predicted = (planes.reshape(3, 4, -1) * weights).sum(axis=1)
    rows = []
    for run, (start, count) in packed.runs.items():
        part = slice(start, start + count)
        auc = (packed.low + packed.step * column[part] for column in (true, predicted))
        labels = [packed.cells[place] for place in np.cumsum(cell[part])]
        rows += zip(
            [run] * count, labels, *(column.round(4).tolist() for column in auc), strict=True
        )
    return rows


def test_packed_predictions_are_those_that_were_read():
    rows = pl.DataFrame(
        {
            "run": ["RUN001", "RUN000", "RUN001", "RUN001"],
            "cell": ["b", "c", "a", "b"],
            "true": [0.1234, 1.0, 7.5, -0.25],
            "predicted": [0.0, 0.9999, 0.5, 0.5001],
        }
    )
    packed = packing.pack(rows)
    assert sorted(decode(packed)) == sorted(rows.rows())
    assert packing.pack(rows) == packed


def test_very_many_rows_keep_three_decimals(monkeypatch):
    monkeypatch.setattr(packing, "MANY_ROWS", 1)
    rows = pl.DataFrame({"run": ["A", "A"], "cell": ["a", "b"], "true": [0.1, 0.2]})
    packed = packing.pack(rows.with_columns(predicted=pl.Series([0.12345, 0.5])))
    assert [round(row[3], 6) for row in decode(packed)] == [0.123, 0.5]


def test_the_scripts_of_others_are_the_ones_that_their_list_names():
    listed = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", text_of_list(), re.M))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in scripts()}
    assert found == listed
    assert set(found) == set(page.VENDOR)


def text_of_list():
    return (VENDOR / "README.md").read_text()


def scripts():
    return VENDOR.glob("*.js")


def test_an_experiment_without_predictions_has_no_report(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"])
    result = run_script("report.py", experiment)
    assert_is_refused(result, "no run of", "has predictions yet")
    assert not (experiment / "report.html").exists()


def test_the_page_says_what_the_start_said_of_the_data(opened):
    section = opened.find_element(By.CSS_SELECTOR, "section[aria-labelledby=about-data]")
    assert section.text.splitlines() == ["Data", DATA]
    link = opened.find_element(By.CSS_SELECTOR, "nav a[href='#about-data']")
    assert link.text == "Data"
