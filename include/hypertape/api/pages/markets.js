// Markets: how fresh everything is, which sessions are covered, what failed, what ran last, who works.

import {
  airflowLink,
  ask,
  asOf,
  begin,
  count,
  dagOf,
  dagPath,
  empty,
  filling,
  headlineOf,
  instant,
  make,
  ofChecks,
  pageLink,
  parameters,
  pill,
  placesOf,
  plural,
  show,
  spelled,
  startLink,
  synthetic,
  table,
} from "./common.js";
import { coverage } from "./coverage.js";
import { findings } from "./findings.js";
import { dagRuns, runLink } from "./runs.js";
import { workers } from "./workers.js";

const asked = parameters();
const own = /^(?:bars|heal_gaps)_([a-z0-9]+)_(1d|1h|1m)$/.exec(asked.dag_id ?? "");
const NAMED = 8; // tickers of a cause that are named, each with a link
let state = null;

async function load() {
  state = await ask("overview");
  asOf(state.now);
  const places = state.markets.flatMap((market) => market.intervals.map((entry) => ({ ...entry, of: market })));
  show("banner", synthetic(placesOf(state.markets)));
  show("verdict", headlineOf(state.headline));
  filling("findings", () => findings("findings", {}));
  if (!places.length) {
    show(
      "fresh",
      empty(
        "The warehouse has no bars yet.",
        "Unpause a DAG ",
        airflowLink("dags?tags=bars", "tagged “bars”"),
        ", or load the sample: ",
        make("code", {}, "hypertape sync -m vn -i 1d --source sample"),
        ".",
      ),
    );
    for (const id of ["cover-form", "cover", "legend", "cover-say"]) show(id);
  } else {
    show("fresh", freshness(places));
    const first = places.find(
      (entry) => entry.of.market === (own?.[1] ?? asked.market) && (!own || entry.interval === own[2]),
    );
    coverage(state, {
      place: asked.place ?? (first && `${first.of.market} ${first.interval}`),
      sessions: asked.sessions,
    });
  }
  show("failing", failures());
  filling("runs", lastRuns);
  filling("workers", () => workers("workers"));
}

function freshness(places) {
  const columns = [
    { label: "Market", kind: "h" },
    { label: "Interval" },
    { label: "Act" },
    { label: "Freshness" },
    { label: "Newest bar (UTC)", kind: "t" },
    { label: "Watermark (UTC)", kind: "t", title: "Up to here every series was loaded and validated" },
    { label: "Tickers", kind: "n" },
    { label: "Bars", kind: "n", title: "Counted in the load ledger" },
    { label: "Open gaps", kind: "n", title: "Missing bars in open entries of the gap ledger, from the ticker's first bar on" },
    { label: "Refused", kind: "n", title: "Rows in quarantine" },
    { label: "Last checks" },
  ];
  return table("Freshness by market and interval", columns, places.map(freshnessRow), { id: "freshness" });
}

function freshnessRow(entry) {
  const { market, title, zone, trading } = entry.of;
  const dag = dagOf(market, entry.interval);
  const [level, text] = ofChecks(entry.last_run);
  const run = entry.last_run && dagRuns(entry.last_run.run_id).length > 0;
  return [
    make(
      "span",
      { title: `${zone}: ${trading ? "trading now" : "closed now"}` },
      title,
      " ",
      make("span", { class: "unit" }, trading ? "● open" : "○ closed"),
    ),
    pageLink("ticker", { market, interval: spelled(entry.interval) }, spelled(entry.interval), {
      title: "A chart of one of its tickers",
    }),
    make(
      "span",
      { class: "links row" },
      startLink("backfill_bars", { market, interval: entry.interval, reason: "from the Markets page" }, "backfill"),
      startLink(`heal_gaps_${market}_${entry.interval}`, {}, "heal"),
      airflowLink(dagPath(dag), "DAG", { title: dag }),
      run && runLink(entry.last_run.run_id, "run"),
    ),
    entry.late
      ? pill("bad", `${plural(entry.behind, "session")} behind`, `allowed: ${entry.of.allowed}`)
      : pill(
          "good",
          entry.behind ? `${plural(entry.behind, "session")} behind, allowed ${entry.of.allowed}` : "up to date",
        ),
    instant(entry.last_time, entry.interval === "1d"),
    instant(entry.watermark, entry.interval === "1d"),
    count(entry.tickers),
    count(entry.bars),
    count(entry.gap_bars),
    count(entry.quarantined),
    entry.last_run
      ? pageLink("quality", { ledger_run: entry.last_run.run_id }, pill(level, text), {
          title: entry.last_run.names.join(", "),
        })
      : pill(level, text),
  ];
}

function failures() {
  if (!state.failing.length) return make("p", { class: "soft" }, "None: the newest load of every ticker went through.");
  const columns = [
    { label: "What went wrong", kind: "w" },
    { label: "Act" },
    { label: "Series" },
    { label: "Tickers", kind: "w" },
    { label: "Newest (UTC)", kind: "t" },
    { label: "Source" },
    { label: "Run" },
  ];
  return [
    table("Failures", columns, byCause(state.failing).map(failureRow)),
    state.failing_total > state.failing.length &&
      make(
        "p",
        { class: "soft" },
        `${state.failing_total - state.failing.length} more tickers: `,
        make("code", {}, "GET /hypertape/loads?status=failed"),
      ),
  ].filter(Boolean);
}

/** Loads that failed alike, the widest cause first: the same words about another ticker are the same cause. */
function byCause(rows) {
  const causes = new Map();
  for (const row of rows) {
    const words = row.error.replace(new RegExp(`(?<![\\w.])${row.ticker.replace(/\W/g, "\\$&")}(?![\\w])`, "g"), "…");
    const key = JSON.stringify([row.market, row.interval, row.source, row.run_id, words]);
    causes.set(key, [...(causes.get(key) ?? []), row]);
  }
  return [...causes.values()].sort((one, other) => other.length - one.length);
}

function failureRow(alike) {
  const [{ market, interval, source, error, run_id }] = alike;
  const named = alike.slice(0, NAMED);
  return [
    error,
    startLink(
      "backfill_bars",
      {
        market,
        interval,
        tickers: alike.map((row) => row.ticker).join(","),
        reason: `newest load failed: run ${run_id}`,
      },
      "backfill",
    ),
    `${market} ${spelled(interval)}`,
    make(
      "span",
      {},
      alike.length > 1 && `${plural(alike.length, "ticker")}: `,
      named.map((row, at) => [
        at > 0 && ", ",
        pageLink("ticker", { market, symbol: row.ticker, interval: spelled(interval) }, row.ticker),
      ]),
      alike.length > named.length && ", …",
    ),
    instant(alike.map((row) => row.loaded_at).sort().at(-1)),
    source,
    runLink(run_id),
  ];
}

async function lastRuns() {
  const { runs } = await ask("runs", own ? { mode: own[1], interval: spelled(own[2]) } : {});
  if (!runs.length) {
    show("runs", empty("Nothing ran yet.", "Unpause a DAG ", airflowLink("dags?tags=bars", "tagged “bars”"), "."));
    return;
  }
  const columns = [
    { label: "Run", kind: "h" },
    { label: "Series" },
    { label: "Loaded (UTC)", kind: "t" },
    { label: "Source" },
    { label: "Tickers", kind: "n" },
    { label: "Failed", kind: "n" },
    { label: "New bars", kind: "n" },
    { label: "Restated or corrected", kind: "n" },
    { label: "Unchanged", kind: "n" },
    { label: "Refused rows", kind: "n" },
    { label: "Checks" },
  ];
  const rows = runs.map((run) => {
    const [level, text] = ofChecks(run);
    return [
      runLink(run.run_id),
      `${run.market} ${spelled(run.interval)}`,
      instant(run.loaded_at.replace(/\.\d+/, "")),
      run.sources.join(", "),
      count(run.tickers),
      run.failed ? make("span", { class: "bad" }, `✕ ${count(run.failed)}`) : "0",
      count(run.inserted),
      count(run.updated),
      count(run.unchanged),
      count(run.quarantined),
      pageLink("quality", { ledger_run: run.run_id }, pill(level, text)),
    ];
  });
  show("runs", table("Last runs", columns, rows, { tall: true }));
}

begin();
await filling("fresh", load);
