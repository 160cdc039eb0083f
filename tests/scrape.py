"""Reading what /metrics answered."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from hypertape.meters import CATALOG, Metric

OURS = ("hypertape_", "timescale_")


def families(text: str) -> dict[str, Metric]:
    """The families of a scrape as declarations, by name, ours only."""
    found = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {key for sample in family.samples for key in sample.labels} - {"le"}
        found[name] = Metric(name, family.type, family.documentation, tuple(sorted(labels)))
    return {name: metric for name, metric in found.items() if name.startswith(OURS)}


def values(text: str, name: str, **labels: str) -> list[float]:
    """The values of the samples of that name with at least these labels."""
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def undeclared(text: str, *wheres: str) -> tuple[set[str], set[str]]:
    """What a scrape tells otherwise than declared, and what is declared and not told."""
    told = families(text)
    known = {metric.name: metric for metric in CATALOG if metric.where in wheres}
    wrong = {
        name
        for name, metric in told.items()
        if name not in known
        or (metric.kind, metric.help) != (known[name].kind, known[name].help)
        or (metric.labels and set(metric.labels) != set(known[name].labels))
    }
    return wrong, known.keys() - told.keys()
