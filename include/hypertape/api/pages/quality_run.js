// Quality of one run: what its checks said, what was refused, and what each ticker's load did.

import {
  airflowLink,
  ask,
  asOf,
  count,
  dagPath,
  empty,
  headlineOf,
  instant,
  make,
  ofChecks,
  pageLink,
  pill,
  plural,
  show,
  spelled,
  synthetic,
  table,
} from "./common.js";
import { check, newest } from "./checks.js";
import { dagRuns, runLabel, runLink, runOf } from "./runs.js";

const MOST_LOADS = 200;
const MOST_REFUSED = 200;

/** Fill the page with one run: `asked` names it as the ledgers (ledger_run) or Airflow (dag_id, run_id) do. */
export async function oneRun(asked) {
  const named = asked.ledger_run ? { run_id: asked.ledger_run } : { dag_id: asked.dag_id, run_id: asked.run_id };
  const [{ runs }, { now }] = await Promise.all([ask("runs", named), ask("health")]);
  asOf(now);
  const name = runs[0]?.run_id ?? asked.ledger_run ?? `${asked.dag_id}__${asked.run_id}`;
  const [checks, { loads }, refused] = await Promise.all([
    ask("quality", { run_id: name, limit: 5000 }),
    ask("loads", { run_id: name, limit: 5000 }),
    ask("quarantine", { run_id: name, open: "false", limit: MOST_REFUSED }),
  ]);
  const results = newest(checks.results, (row) =>
    [row.market, row.interval, row.suite, row.expectation, row.target, row.window_start, row.window_end].join("|"),
  );
  const last = newest(loads, (row) => [row.market, row.interval, row.ticker].join("|"));
  heading(name, runs, asked);
  if (!results.length && !last.length) {
    show("body", unknownRun(name));
    return;
  }
  show("banner", synthetic(placesOfLoads(last)));
  const found = await findingsOf([...last, ...results]);
  show("verdict", headlineOf(found.headline));
  show(
    "body",
    facts(runs.filter((run) => run.run_id === name)),
    sections(results),
    refusedRows(refused.quarantine, last),
    loadRows(last),
  );
}

/** The loads of a run, by place, as `synthetic` takes them. */
function placesOfLoads(loads) {
  const places = new Map();
  for (const { market, interval, ticker, source } of loads) {
    const place = `${market} ${spelled(interval)}`;
    const found = places.get(place) ?? { place, tickers: 0, synthetic_tickers: 0, synthetic_named: [] };
    places.set(place, found);
    found.tickers += 1;
    if (source !== "sample") continue;
    found.synthetic_tickers += 1;
    if (found.synthetic_named.length < 5) found.synthetic_named.push(ticker);
  }
  return [...places.values()];
}

function heading(name, runs, asked) {
  const [found, ...more] = asked.dag_id ? [known(name, asked)] : dagRuns(name);
  const certain = found && !more.length;
  show("title", "Checks of ", certain ? [airflowLink(dagPath(found.dag), found.dag), " · ", runOf(found)] : runLink(name));
  const others = [...new Set(runs.map((run) => run.run_id))].filter((each) => each !== name);
  if (others.length) {
    show(
      "banner",
      make(
        "p",
        {},
        "This run was cleared and ran again; before: ",
        others.map((each) => [pageLink("quality", { ledger_run: each }, label(each, asked)), " "]),
      ),
    );
  }
}

/** The run that Airflow's tab names; the ledger's name says whether it was cleared. */
function known(name, { dag_id: dag, run_id: run }) {
  const again = /^__(\d+)$/.exec(name.slice(`${dag}__${run}`.length));
  return { dag, run, cleared: again ? Number(again[1]) - 1 : 0 };
}

function label(name, asked) {
  const [found, ...more] = asked.dag_id ? [known(name, asked)] : dagRuns(name);
  return found && !more.length ? runLabel(found) : name;
}

function unknownRun(name) {
  const bars = /^(bars_|backfill_bars|heal_gaps)/.test(name);
  return empty(
    "The ledgers know nothing of this run.",
    bars
      ? "It may still be running, or have ended before its first load. Its task logs say more; then reload this page. "
      : "Only runs that load bars are checked here. ",
    pageLink("quality", {}, "Quality of all markets"),
  );
}

/** What is wrong now where the run was: of one market and interval, or of all. */
function findingsOf(places) {
  const [only, ...more] = [...new Set(places.map((row) => `${row.market} ${spelled(row.interval)}`))];
  const [mode, interval] = only.split(" ");
  return ask("findings", more.length ? {} : { mode, interval });
}

function facts(runs) {
  const columns = [
    { label: "Series", kind: "h" },
    { label: "Window (UTC)", kind: "t" },
    { label: "Source" },
    { label: "Tickers", kind: "n" },
    { label: "Failed", kind: "n" },
    { label: "Fetched bars", kind: "n" },
    { label: "New", kind: "n" },
    { label: "Restated or corrected", kind: "n" },
    { label: "Unchanged", kind: "n" },
    { label: "Refused rows", kind: "n" },
    { label: "Missing bars", kind: "n" },
    { label: "Checks" },
  ];
  const rows = runs.map((run) => {
    const [level, text] = ofChecks(run);
    return [
      pageLink(
        "ticker",
        { market: run.market, interval: spelled(run.interval) },
        `${run.market} ${spelled(run.interval)}`,
      ),
      `${instant(run.window_start, true)} to ${instant(run.window_end, true)}`,
      run.sources.join(", "),
      count(run.tickers),
      count(run.failed),
      count(run.fetched),
      count(run.inserted),
      count(run.updated),
      count(run.unchanged),
      count(run.quarantined),
      count(run.missing),
      pill(level, text),
    ];
  });
  return rows.length ? table("What the run loaded", columns, rows) : null;
}

function sections(results) {
  const of = (status, severity) =>
    results.filter((row) => row.status === status && !row.error && (!severity || row.severity === severity));
  const passed = of("passed"),
    idle = of("not_evaluated");
  const part = (title, rows) =>
    rows.length ? [make("h2", {}, title, make("small", {}, count(rows.length))), rows.map(check)] : [];
  return [
    part("Failed critical checks", of("failed", "critical")),
    part("Warnings", of("failed", "warning")),
    part("Rules that did not run", results.filter((row) => row.error)),
    idle.length
      ? [
          make("h2", {}, "Not evaluated", make("small", {}, `${count(idle.length)}: there was nothing to look at`)),
          idleTable(idle),
        ]
      : [],
    passed.length
      ? [
          make("h2", {}, "Passed", make("small", {}, count(passed.length))),
          make("details", {}, make("summary", {}, plural(passed.length, "check")), passedTable(passed)),
        ]
      : [],
  ].flat();
}

/** A table of checks; `more` are columns behind the common ones, each with the cell it makes of a row. */
const checksTable = (title, rows, more) =>
  table(
    title,
    [
      { label: "Check", kind: "h" },
      { label: "Series" },
      { label: "Suite" },
      { label: "What it says", kind: "w" },
      ...more,
    ],
    rows.map((row) => [
      row.expectation,
      `${row.market} ${spelled(row.interval)}`,
      row.suite,
      row.description,
      ...more.map(({ cell }) => cell(row)),
    ]),
  );

const idleTable = (rows) =>
  checksTable("Checks that were not evaluated", rows, [
    {
      label: "Why it was not evaluated",
      kind: "w",
      cell: ({ why }) => why ?? "there was nothing to look at",
    },
  ]);

const passedTable = (rows) =>
  checksTable("Passed checks", rows, [
    { label: "Looked at", kind: "n", cell: ({ evaluated }) => count(evaluated) },
    { label: "Seconds", kind: "n", cell: ({ seconds: took }) => took.toFixed(2) },
  ]);

function refusedRows(rows, loads) {
  const total = loads.reduce((sum, load) => sum + load.quarantined, 0);
  const title = make("h2", {}, "Refused rows", make("small", {}, "kept in quarantine, replayable"));
  const others =
    total > rows.length &&
    make(
      "p",
      { class: "soft" },
      `${plural(total - rows.length, rows.length ? "more row" : "row")}: kept with the run that refused the same first${rows.length >= MOST_REFUSED ? `, or beyond the ${count(MOST_REFUSED)} shown` : ""}.`,
    );
  if (!rows.length) return total ? [title, others] : null;
  const columns = [
    { label: "Ticker", kind: "h" },
    { label: "Series" },
    { label: "Time (UTC)", kind: "t" },
    { label: "Rule" },
    { label: "Value" },
    { label: "Row as it came", kind: "w" },
  ];
  return [
    title,
    table(
      "Refused rows",
      columns,
      rows.map((row) => [
        pageLink(
          "ticker",
          { market: row.market, symbol: row.ticker, interval: spelled(row.interval), at: row.time?.slice(0, 10) },
          row.ticker,
        ),
        `${row.market} ${spelled(row.interval)}`,
        row.time ? instant(row.time, true) : "–",
        row.rule,
        row.value,
        make("span", { class: "mono" }, row.row_text),
      ]),
      { tall: true },
    ),
    others,
  ];
}

function loadRows(loads) {
  if (!loads.length) return null;
  const columns = [
    { label: "Ticker", kind: "h" },
    { label: "Series" },
    { label: "State" },
    { label: "Source" },
    { label: "Fetched", kind: "n" },
    { label: "New", kind: "n" },
    { label: "Restated", kind: "n" },
    { label: "Unchanged", kind: "n" },
    { label: "Refused", kind: "n" },
    { label: "Missing", kind: "n" },
    { label: "Attempt", kind: "n" },
    { label: "What went wrong", kind: "w" },
  ];
  const levels = { loaded: "good", failed: "bad", skipped: "note" };
  const weight = (row) =>
    [row.status !== "failed", !row.quarantined, !row.missing, !row.updated].map(Number).join("") + row.ticker;
  const sorted = [...loads].sort((a, b) => (weight(a) < weight(b) ? -1 : 1));
  const rows = sorted
    .slice(0, MOST_LOADS)
    .map((row) => [
      pageLink("ticker", { market: row.market, symbol: row.ticker, interval: spelled(row.interval) }, row.ticker),
      `${row.market} ${spelled(row.interval)}`,
      pill(levels[row.status], row.status),
      row.source,
      count(row.fetched),
      count(row.inserted),
      count(row.updated),
      count(row.unchanged),
      count(row.quarantined),
      count(row.missing),
      count(row.attempt),
      row.error ?? "",
    ]);
  return [
    make(
      "h2",
      {},
      "Tickers",
      make("small", {}, `${plural(loads.length, "ticker")}, those with something to see first`),
    ),
    table("Tickers of the run", columns, rows, { tall: true }),
    loads.length > rows.length &&
      make(
        "p",
        { class: "soft" },
        `${count(loads.length - rows.length)} more: `,
        make("code", {}, `GET /hypertape/loads?run_id=…`),
      ),
  ];
}
