"""The schema runner: one transaction, an advisory lock, frozen hashes.

`sql/bootstrap.sql` runs first, then `tier/both` and the tier's own functions, then `migrations/NNNN_*.sql` once each,
then `repeatable/*.sql` whenever one of their texts changed. A script named `*.SCOPE.sql` is a template and runs once
for each of its scope (`schema_scopes`: market, relation, …), with the names filled in for its placeholders, so a new
market needs no new script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from hypertape import __version__
from hypertape.errors import BadSetting, MigrationChanged, SchemaMissing, TierChanged
from hypertape.model import Market
from hypertape.queries import query, sql_directory
from hypertape.warehouse.connect import is_pooled
from hypertape.warehouse.dsn import place
from hypertape.warehouse.ledger import database_now
from hypertape.warehouse.schema_scopes import CARRIED, SCOPES, Names
from hypertape.warehouse.symbology import register_names

Connection = psycopg.Connection[Any]

_LOCK = "hypertape/schema"


@dataclass(frozen=True, slots=True)
class Script:
    """One script of `sql/`; where its text is a template `scope` says for what, and `names` fills it in."""

    kind: str
    name: str
    text: str
    scope: str = ""
    names: Names | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """Its key in `schema_migration`: its name, and `vn` or `vn 1d` where it is a template."""
        return self.name, self.scope

    @property
    def label(self) -> str:
        """Its name for people: `0003_bars.market.sql (vn)`."""
        name, scope = self.key
        return f"{name} ({scope})" if scope else name

    @property
    def sha256(self) -> str:
        """Hash of the text as it lies in the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statement(self) -> sql.SQL | sql.Composed:
        """The text with the names of its scope filled in."""
        template = sql.SQL(self.text)
        return template if self.names is None else template.format(**self.names)


@dataclass(frozen=True, slots=True)
class ScriptStatus:
    """What `hypertape schema status` shows of one script; `state` is applied, pending or changed."""

    script: Script
    state: str


def tier(connection: Connection) -> str:
    """Return `timescaledb` (Community edition) or `plain`: the one place that asks."""
    row = connection.execute("select hypertape.server_tier()").fetchone()
    assert row is not None
    return str(row[0])


def apply(connection: Connection, markets: Iterable[Market], *, archived: bool = False) -> list[str]:
    """Bring the schema up to date and return the labels of the scripts that ran (none when nothing changed).

    Where bars are `archived` before they are dropped, the server drops none by itself, whatever a market keeps.

    Two appliers at once wait for each other. Everything happens in one transaction: a failure leaves the schema as it
    was. Raises MigrationChanged, TierChanged, or what `translate_errors` raises; and BadSetting through a pooler, whose
    open sessions would not learn of the search path that is set for the database.
    """
    markets = tuple(markets)
    if is_pooled(connection):
        raise BadSetting(
            f"{place(connection.info.dsn)} is a pooler; the schema is applied at the server itself",
            next_step="Name the server in HYPERTAPE_DIRECT_DATABASE_URL, and let the pooler reconnect afterwards.",
        )
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (_LOCK,))
        connection.execute("set local client_min_messages = warning")
        connection.execute("set local search_path = public, shim, bars")
        connection.execute((sql_directory() / "bootstrap.sql").read_text(encoding="utf-8"))
        _act_as_owner(connection)
        ledger = _ledger(connection)
        current = tier(connection)
        _refuse_other_tier(connection, current)
        pending = _pending(scripts(current, markets), ledger)
        for script in pending:
            connection.execute(script.statement())
            _record(connection, script, current)
        _after(connection, markets, archived, {name for name, _ in ledger} | {it.name for it in pending})
        connection.execute("set local role none")
        name_search_path(connection)
    return [script.label for script in pending]


def _act_as_owner(connection: Connection) -> None:
    """Let what is made belong to the owner of what there is, whoever applies: one who may act as that role."""
    owner = connection.execute(query("schema_owner")).fetchone()
    if owner is not None:
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(owner[0])))


def status(connection: Connection, markets: Iterable[Market]) -> list[ScriptStatus]:
    """Compare every script with the ledger. Raises SchemaMissing when nothing was ever applied."""
    if connection.execute("select to_regclass('public.schema_migration')").fetchone() == (None,):
        raise SchemaMissing("The warehouse has no schema yet")
    ledger = _ledger(connection)
    known = scripts(tier(connection), tuple(markets))
    return [ScriptStatus(script, _state(script, ledger.get(script.key))) for script in known]


def _state(script: Script, recorded: str | None) -> str:
    if recorded is None:
        return "pending"
    return "applied" if recorded == script.sha256 else "changed"


def verify(connection: Connection, markets: Iterable[Market]) -> None:
    """Raise unless every script is applied with the text it has now: SchemaMissing, MigrationChanged, TierChanged."""
    behind = [entry for entry in status(connection, markets) if entry.state != "applied"]
    _refuse_other_tier(connection, tier(connection))
    changed = [
        entry.script for entry in behind if entry.state == "changed" and entry.script.kind == "migration"
    ]
    if changed:
        raise _changed(changed)
    if behind:
        raise SchemaMissing(f"The schema is behind by: {', '.join(entry.script.label for entry in behind)}")


def scripts(current_tier: str, markets: tuple[Market, ...]) -> list[Script]:
    """Every script in the order it runs on this tier."""
    root = sql_directory()
    folders = (
        ("function", root / "tier" / "both"),
        ("function", root / "tier" / current_tier),
        ("migration", root / "migrations"),
        ("repeatable", root / "repeatable"),
    )
    more = {"carried": CARRIED[current_tier]}
    return [script for kind, folder in folders for script in _read(kind, folder, markets, more)]


def _read(kind: str, folder: Path, markets: tuple[Market, ...], more: Names) -> Iterator[Script]:
    for path in sorted(folder.glob("*.sql")):
        name = f"{folder.name}/{path.name}"
        text = path.read_text(encoding="utf-8")
        _, *scoped = path.stem.split(".")
        if scoped:
            for scope, names in SCOPES[scoped[0]](markets):
                yield Script(kind, name, text, scope, {**names, **more})
        else:
            yield Script(kind, name, text)


def _pending(known: list[Script], ledger: dict[tuple[str, str], str]) -> list[Script]:
    """Scripts that must run: new migrations, changed functions, and all repeatables when one of them changed."""
    changed = [s for s in known if s.kind == "migration" and ledger.get(s.key, s.sha256) != s.sha256]
    if changed:
        raise _changed(changed)
    stale = {script.key for script in known if ledger.get(script.key) != script.sha256}
    renew = any(script.key in stale for script in known if script.kind in ("migration", "repeatable"))
    return [s for s in known if s.key in stale or (renew and s.kind == "repeatable")]


def _changed(migrations: list[Script]) -> MigrationChanged:
    names = ", ".join(script.label for script in migrations)
    return MigrationChanged(f"{names} already ran here and has another text now")


def _ledger(connection: Connection) -> dict[tuple[str, str], str]:
    rows = connection.execute("select name, market, sha256 from public.schema_migration").fetchall()
    return {(name, market): digest for name, market, digest in rows}


def _refuse_other_tier(connection: Connection, current: str) -> None:
    rows = connection.execute("select distinct tier from public.schema_migration").fetchall()
    built = {row[0] for row in rows} - {current}
    if built:
        raise TierChanged(f"The schema was built on the {built.pop()} tier, the server now offers {current}")


def _after(
    connection: Connection, markets: tuple[Market, ...], archived: bool, scripts: Collection[str]
) -> None:
    """What follows the scripts every time. Scripts of an older date have no place yet for some of it."""
    for needed, step in _STEPS.items():
        if needed in scripts:
            step(connection, markets, archived)


def _register_markets(connection: Connection, markets: tuple[Market, ...], _archived: bool) -> None:
    rows = [(m.code, m.table, m.title, m.timezone, m.calendar) for m in markets]
    with connection.cursor() as cursor:
        cursor.executemany(query("register_market"), rows)


def _register_names(connection: Connection, markets: tuple[Market, ...], _archived: bool) -> None:
    for market in markets:
        register_names(connection, market, database_now(connection).date())


def _keep_retention(connection: Connection, markets: tuple[Market, ...], archived: bool) -> None:
    for market in markets:
        for interval in market.intervals:
            relation = f"bars.{market.relation(interval)}"
            kept = None if archived else market.retention.get(interval)
            connection.execute(query("keep_for"), (relation, kept))


_STEPS: Mapping[str, Callable[[Connection, tuple[Market, ...], bool], None]] = {
    "migrations/0001_reference.sql": _register_markets,
    "migrations/0003_bars.market.sql": _keep_retention,
    "migrations/0031_group_member.sql": _register_names,
}
"""The steps after the scripts, each by the migration that makes a place for what it writes."""


def _record(connection: Connection, script: Script, current: str) -> None:
    name, market = script.key
    connection.execute(query("record_migration"), (name, market, script.sha256, __version__, current))


def name_search_path(connection: Connection) -> None:
    """Let every later session of this database resolve the shim's names, through PgBouncer too."""
    connection.execute(
        sql.SQL("alter database {} set search_path = public, shim, bars").format(
            sql.Identifier(connection.info.dbname)
        )
    )
