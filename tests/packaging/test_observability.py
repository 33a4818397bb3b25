"""Alert rules and the dashboard name metrics, labels and codes that a server really has."""

import json
import re
from urllib.request import urlopen

import pytest
import yaml

from servers import REPOSITORY

RULES = REPOSITORY / "packaging/prometheus/tidelock.rules.yaml"
DASHBOARD = REPOSITORY / "packaging/grafana/tidelock.json"
DOCUMENT = REPOSITORY / "docs/operating.md"
METRICS = REPOSITORY / "crates/server/src/metrics.rs"
# Prometheus makes it of every target.
FOREIGN = {"up"}
# Labels of a target, and of a histogram.
TARGET_LABELS = {"job", "instance", "le"}


def alert_expressions() -> dict[str, str]:
    """By the alert's name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def panel_expressions() -> dict[str, str]:
    """By the panel's title."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels
        for target in panel["targets"]
    }


EXPRESSIONS = alert_expressions() | panel_expressions()


@pytest.fixture(scope="module")
def page(http_server) -> str:
    """What a server exports."""
    http_server.s3().list_buckets()
    with urlopen(f"{http_server.endpoint}/_/metrics", timeout=10) as answer:
        return answer.read().decode()


def families(page: str) -> dict[str, set[str]]:
    """The names of all series, with the labels that the documentation gives them. Families that a server
    without PostgreSQL has no series of are not on its page; the code registers them."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    typed = re.findall(r"^# TYPE (\S+) (\w+)$", page, re.MULTILINE)
    documented = {}
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("| `tidelock_"):
            names, labels = line.split("|")[1:3]
            documented |= {name: set(re.findall(r"`(\w+)`", labels)) for name in re.findall(r"`(\w+)`", names)}
    found = {}
    for family, kind in typed:
        for suffix in suffixes[kind]:
            labels = documented.get(family + suffix, documented.get(family))
            assert labels is not None, f"{family} is not documented"
            found[family + suffix] = labels
    registered = METRICS.read_text()
    for name, labels in documented.items():
        if f'"{name.removeprefix("tidelock_").removesuffix("_total")}",' in registered:
            found.setdefault(name, labels)
    return found


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_metrics_are_exported(page, name):
    expression = EXPRESSIONS[name]
    known = families(page)
    selectors = re.findall(r"([a-z_]+)\{([^}]*)\}", expression)
    assert selectors, expression
    for metric, matchers in selectors:
        assert metric in FOREIGN or metric in known, metric
        labels = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers))
        assert labels <= TARGET_LABELS | known.get(metric, set()), (metric, labels)
    grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")}
    every = TARGET_LABELS.union(*(known.get(metric, set()) for metric, _ in selectors))
    assert grouped <= every, grouped
    assert expression.count("(") == expression.count(")")


def test_codes_are_those_of_the_server():
    errors = (REPOSITORY / "crates/s3/src/error/code.rs").read_text()
    for expression in alert_expressions().values():
        for codes in re.findall(r'code=~?"([^"]+)"', expression):
            for code in codes.split("|"):
                assert re.search(rf"^    {code} ", errors, re.MULTILINE), code


def test_every_alert_says_what_to_do():
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical"), rule
            assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule


def test_panels_do_not_overlap():
    taken = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
