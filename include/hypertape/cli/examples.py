"""An example for every verb's `--help`: what to type, once, where a verb's own text does not say it."""

from __future__ import annotations

from collections.abc import Callable

import typer

EXAMPLES: dict[str, str] = {
    "sync": "--market vn --interval 1d --tickers VIC,VCB",
    "backfill": "vn 1d --start-date 2020-01-01",
    "validate": "--market vn --interval 1d",
    "report": "--output report.html",
    "reconcile": "vn 1d --against yahoo --start-date 2025-01-01",
    "digest": "--market vn --interval 1d --tickers VIC",
    "revisions": "--market vn --interval 1d --tickers VIC",
    "restatements": "",
    "doctor": "",
    "copy": "csv:tape sqlite:/srv/tape --symbols VIC,VCB --start-date 2024-01-01",
    "verify": "csv:tape warehouse",
    "export": "--output tape",
    "import": "--input tape --dry-run",
    "serve": "--port 8600",
    "db up": "",
    "db down": "",
    "db status": "",
    "db psql": "",
    "db url": "--reader",
    "schema apply": "",
    "schema status": "",
    "schema verify": "",
    "gaps list": "--market vn --interval 1d",
    "gaps find": "--strict",
    "gaps heal": "--market vn --interval 1d --dry-run",
    "gaps reopen": "--tickers VRG",
    "actions sync": "--market us",
    "actions list": "--market us",
    "mirror add": "files sqlite:/srv/tape --market vn",
    "mirror list": "",
    "mirror deliver": "files",
    "mirror parity": "files",
    "mirror pause": "files",
    "mirror resume": "files",
    "mirror remove": "files",
    "source list": "",
    "source status": "",
    "source reset": "vci",
    "migrate sqlite": "market.db --dry-run",
    "migrate report": "-o migration.html",
    "migrate list": "",
    "quarantine list": "--market vn",
    "quarantine show": "17",
    "quarantine replay": "--rule future --dry-run",
    "rollback status": "",
    "rollback to-sqlite": "",
    "rollback to-warehouse": "sqlite:/srv/tape",
    "keys create": "research",
    "keys list": "",
    "keys revoke": "research",
}
"""The words after the verb, by the verb."""


def add_examples(app: typer.Typer, path: tuple[str, ...] = ()) -> None:
    """Append its example to the help of every verb that has one here."""
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_examples(group.typer_instance, (*path, str(group.name)))
    for info in app.registered_commands:
        verb = " ".join((*path, info.name or _name(info.callback)))
        if verb in EXAMPLES:
            info.epilog = f"Example: {' '.join(filter(None, ('hypertape', verb, EXAMPLES[verb])))}"


def _name(callback: Callable[..., object] | None) -> str:
    return getattr(callback, "__name__", "").replace("_", "-")
