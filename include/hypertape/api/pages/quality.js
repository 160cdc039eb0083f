// Quality: what the checks of one run said, or of all markets over time.

import {
  Refused, airflowLink, ask, asOf, begin, byId, choose, count, dagPath, dagRun, empty, filling, instant, make, number,
  ofChecks, pageLink, parameters, percent, pill, plural, remember, runLink, show, spelled, startLink, synthetic, table,
  verdict,
} from "./common.js";

const asked = parameters();
const MOST_LOADS = 200;
const MOST_REFUSED = 200;

// ------------------------------------------------------------------------------------------------ one run

async function oneRun() {
  const named = asked.ledger_run ? { run_id: asked.ledger_run } : { dag_id: asked.dag_id, run_id: asked.run_id };
  const [{ runs }, { now }] = await Promise.all([ask("runs", named), ask("health")]);
  asOf(now);
  const name = runs[0]?.run_id ?? asked.ledger_run ?? `${asked.dag_id}__${asked.run_id}`;
  const [checks, { loads }, refused] = await Promise.all([
    ask("quality", { run_id: name, limit: 5000 }), ask("loads", { run_id: name, limit: 5000 }), ask("quarantine", { run_id: name, open: "false", limit: MOST_REFUSED }),
  ]);
  const results = newest(checks.results, (row) => [row.market, row.interval, row.suite, row.expectation, row.target, row.window_start, row.window_end].join("|"));
  const last = newest(loads, (row) => [row.market, row.interval, row.ticker].join("|"));
  heading(name, runs);
  if (!results.length && !last.length) {
    show("body", unknownRun(name));
    return;
  }
  show("banner", last.some((row) => row.source === "sample") && synthetic());
  show("verdict", ofRunVerdict(results, last));
  show("body", facts(runs.filter((run) => run.run_id === name)), sections(results), refusedRows(refused.quarantine, last), loadRows(last));
}

/** The newest of the rows that are alike; rows come with the newest first. */
function newest(rows, keyOf) {
  const seen = new Set();
  return rows.filter((row) => { const key = keyOf(row); return !seen.has(key) && seen.add(key); });
}

function heading(name, runs) {
  const found = dagRun(name);
  show("title", "Checks of ", found ? [airflowLink(dagPath(found.dag), found.dag), " · ", runLink(name)] : name);
  const others = [...new Set(runs.map((run) => run.run_id))].filter((each) => each !== name);
  if (others.length) {
    show("banner", make("p", {}, "This run was cleared and ran again; before: ", others.map((each) => [pageLink("quality", { ledger_run: each }, runLabel(each)), " "])));
  }
}

const runLabel = (name) => { const found = dagRun(name); return found ? `${found.run}${found.cleared ? ` (cleared ${found.cleared}×)` : ""}` : name; };

function unknownRun(name) {
  const bars = /^(bars_|backfill_bars|heal_gaps)/.test(name);
  return empty("The ledgers know nothing of this run.",
    bars ? "It may still be running, or have ended before its first load. Its task logs say more; then reload this page. "
      : "Only runs that load bars are checked here. ", pageLink("quality", {}, "Quality of all markets"));
}

function ofRunVerdict(results, loads) {
  const bad = results.filter((row) => row.status === "failed" && row.severity === "critical");
  const broken = results.filter((row) => row.status === "broken");
  const failing = loads.filter((row) => row.status === "failed");
  const warnings = results.filter((row) => row.status === "failed" && row.severity !== "critical");
  const names = (rows) => [...new Set(rows.map((row) => row.expectation))].join(", ");
  if (bad.length) return verdict("bad", `Not published: ${plural(bad.length, "critical check")} failed`, names(bad));
  if (broken.some((row) => row.severity === "critical")) return verdict("unknown", "Not published: a critical rule did not run, so nothing is proven", names(broken));
  if (failing.length) return verdict("bad", `Incomplete: ${failing.length} of ${plural(loads.length, "ticker")} failed to load`);
  if (!results.length) return verdict("unknown", "Not checked: no result is recorded for this run");
  if (warnings.length + broken.length) return verdict("note", `Consistent, with ${plural(warnings.length + broken.length, "point")} to look at`, names([...warnings, ...broken]));
  return verdict("good", "Every bar that was due is there, and every check passed");
}

function facts(runs) {
  const columns = [
    { label: "Series", kind: "h" }, { label: "Window (UTC)", kind: "t" }, { label: "Source" }, { label: "Tickers", kind: "n" }, { label: "Failed", kind: "n" }, { label: "Fetched bars", kind: "n" },
    { label: "New", kind: "n" }, { label: "Restated or corrected", kind: "n" }, { label: "Unchanged", kind: "n" }, { label: "Refused rows", kind: "n" }, { label: "Missing bars", kind: "n" }, { label: "Checks" },
  ];
  const rows = runs.map((run) => {
    const [level, text] = ofChecks(run);
    return [
      pageLink("ticker", { market: run.market, interval: spelled(run.interval) }, `${run.market} ${spelled(run.interval)}`), `${instant(run.window_start, true)} to ${instant(run.window_end, true)}`, run.sources.join(", "),
      count(run.tickers), count(run.failed), count(run.fetched), count(run.inserted), count(run.updated), count(run.unchanged), count(run.quarantined), count(run.missing), pill(level, text),
    ];
  });
  return rows.length ? table("What the run loaded", columns, rows) : null;
}

function sections(results) {
  const of = (status, severity) => results.filter((row) => row.status === status && (!severity || row.severity === severity));
  const passed = of("passed");
  const part = (title, rows) => rows.length ? [make("h2", {}, title, make("small", {}, count(rows.length))), rows.map(check)] : [];
  return [
    part("Failed critical checks", of("failed", "critical")), part("Warnings", of("failed", "warning")), part("Rules that did not run", of("broken")),
    passed.length ? [make("h2", {}, "Passed", make("small", {}, count(passed.length))), make("details", {}, make("summary", {}, plural(passed.length, "check")), passedTable(passed))] : [],
  ].flat();
}

function check(row) {
  const failing = row.status === "failed";
  const sign = !failing ? pill("unknown", "did not run") : row.severity === "critical" ? pill("bad", "critical") : pill("note", "warning");
  const unexpected = row.unexpected ?? 0;
  return make("article", { class: "check" },
    make("div", {}, sign, make("span", { class: "name" }, row.expectation), make("span", { class: "soft mono" }, [row.market, spelled(row.interval), row.suite, row.target].filter(Boolean).join(" · ")),
      make("span", { class: "figures" }, `${count(unexpected)} of ${count(row.evaluated)}${unexpected ? ` (${percent(row.unexpected_percent)})` : ""} · ${row.seconds.toFixed(2)} s`)),
    make("p", {}, `${row.description}.`), row.error && make("p", { class: "bad" }, row.error),
    row.sample.length ? make("ul", { class: "keys", "aria-label": "Offending keys" }, row.sample.map((key) => offending(row, key))) : null,
    unexpected > row.sample.length ? make("p", {}, `${count(unexpected - row.sample.length)} more.`) : null);
}

function offending(row, { ticker, time, ...why }) {
  const place = ticker
    ? pageLink("ticker", { market: row.market, symbol: ticker, interval: spelled(row.interval), at: time?.slice(0, 10) }, `${ticker}${time ? ` · ${instant(time, true)}` : ""}`)
    : time ? instant(time, true) : "no ticker";
  const text = Object.entries(why).map(([name, value]) => `${name} ${typeof value === "number" ? number(value) : typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
  return make("li", {}, make("span", { class: "at" }, place), make("span", { class: "why" }, text));
}

const passedTable = (rows) => table("Passed checks", [{ label: "Check", kind: "h" }, { label: "Series" }, { label: "Suite" }, { label: "What it says", kind: "w" }, { label: "Looked at", kind: "n" }, { label: "Seconds", kind: "n" }],
  rows.map((row) => [row.expectation, `${row.market} ${spelled(row.interval)}`, row.suite, row.description, count(row.evaluated), row.seconds.toFixed(2)]));

function refusedRows(rows, loads) {
  const total = loads.reduce((sum, load) => sum + load.quarantined, 0);
  const title = make("h2", {}, "Refused rows", make("small", {}, "kept in quarantine, replayable"));
  const others = total > rows.length && make("p", { class: "soft" }, `${plural(total - rows.length, rows.length ? "more row" : "row")}: kept with the run that refused the same first${rows.length >= MOST_REFUSED ? `, or beyond the ${count(MOST_REFUSED)} shown` : ""}.`);
  if (!rows.length) return total ? [title, others] : null;
  const columns = [{ label: "Ticker", kind: "h" }, { label: "Series" }, { label: "Time (UTC)", kind: "t" }, { label: "Rule" }, { label: "Value" }, { label: "Row as it came", kind: "w" }];
  return [title, table("Refused rows", columns, rows.map((row) => [
    pageLink("ticker", { market: row.market, symbol: row.ticker, interval: spelled(row.interval), at: row.time?.slice(0, 10) }, row.ticker), `${row.market} ${spelled(row.interval)}`,
    row.time ? instant(row.time, true) : "–", row.rule, row.value, make("span", { class: "mono" }, row.row_text)]), { tall: true }), others];
}

function loadRows(loads) {
  if (!loads.length) return null;
  const columns = [
    { label: "Ticker", kind: "h" }, { label: "Series" }, { label: "State" }, { label: "Source" }, { label: "Fetched", kind: "n" }, { label: "New", kind: "n" }, { label: "Restated", kind: "n" }, { label: "Unchanged", kind: "n" },
    { label: "Refused", kind: "n" }, { label: "Missing", kind: "n" }, { label: "Attempt", kind: "n" }, { label: "What went wrong", kind: "w" },
  ];
  const levels = { loaded: "good", failed: "bad", skipped: "note" };
  const weight = (row) => [row.status !== "failed", !row.quarantined, !row.missing, !row.updated].map(Number).join("") + row.ticker;
  const sorted = [...loads].sort((a, b) => (weight(a) < weight(b) ? -1 : 1));
  const rows = sorted.slice(0, MOST_LOADS).map((row) => [
    pageLink("ticker", { market: row.market, symbol: row.ticker, interval: spelled(row.interval) }, row.ticker), `${row.market} ${spelled(row.interval)}`, pill(levels[row.status], row.status), row.source,
    count(row.fetched), count(row.inserted), count(row.updated), count(row.unchanged), count(row.quarantined), count(row.missing), count(row.attempt), row.error ?? "",
  ]);
  return [make("h2", {}, "Tickers", make("small", {}, `${plural(loads.length, "ticker")}, those with something to see first`)), table("Tickers of the run", columns, rows, { tall: true }),
    loads.length > rows.length && make("p", { class: "soft" }, `${count(loads.length - rows.length)} more: `, make("code", {}, `GET /hypertape/loads?run_id=…`))];
}

// ------------------------------------------------------------------------------------------------ over time

async function overTime() {
  const dag = /^(?:bars|heal_gaps)_([a-z0-9]+)_(?:1d|1h|1m)$/.exec(asked.dag_id ?? "");
  const mode = asked.market ?? dag?.[1] ?? "all";
  const days = asked.days ?? 90;
  const [found, state] = await Promise.all([ask("quality/trend", { mode, days }), ask("overview")]);
  asOf(found.now);
  const held = state.markets.filter((market) => market.intervals.length);
  show("banner", held.some((market) => market.intervals.some((entry) => entry.synthetic)) && synthetic());
  if (!found.latest.length && !found.trend.length) {
    show("verdict");
    show("body", controls(state, mode, days), empty("Nothing has been checked yet.", "Every run of a bars DAG is checked; see ", pageLink("markets", {}, "Markets"), " for how to start one, or run ", make("code", {}, "hypertape validate"), "."));
    return;
  }
  show("verdict", latestVerdict(found.latest));
  const failing = await Promise.all(found.latest.filter((run) => run.critical + run.warnings + run.broken > 0).map(async (run) => {
    const { results } = await ask("quality", { run_id: run.run_id, mode: run.market, interval: spelled(run.interval), limit: 500 });
    return newest(results, (row) => [row.suite, row.expectation, row.target, row.window_start, row.window_end].join("|")).filter((row) => row.status !== "passed");
  }));
  const rank = (row) => (row.status === "failed" && row.severity === "critical" ? 0 : row.status === "broken" ? 1 : 2);
  const checks = failing.flat().sort((a, b) => rank(a) - rank(b));
  show("body", controls(state, mode, days),
    make("h2", {}, "Failed expectations", make("small", {}, "in the newest checked run of each market and interval")),
    checks.length ? checks.map(check) : make("p", { class: "soft" }, "None."),
    make("h2", {}, "Newest checked runs"), latest(found.latest),
    make("h2", {}, "Trend", make("small", {}, `by UTC day, ${found.since.slice(0, 10)} to ${found.now.slice(0, 10)}`)), trends(found),
    make("h2", {}, "Needs attention", make("small", {}, "tickers with failed loads, refused rows, or named by a failed check")), offenders(found.offenders));
}

function controls(state, mode, days) {
  const go = () => {
    const { market, days: span } = form.elements;
    delete asked.dag_id;
    Object.assign(asked, { market: market.value, days: span.value });
    remember({ market: market.value, days: span.value });
    filling("body", overTime);
  };
  const form = make("form", { class: "controls", onsubmit: (event) => event.preventDefault() },
    choose("Market", "market", [["all", "all markets"], ...state.markets.map((each) => [each.market, each.title])], mode, go),
    choose("Time", "days", [7, 30, 90, 365].map((each) => [each, `last ${each} days`]), days, go));
  return form;
}

function latestVerdict(runs) {
  const named = (some) => some.map((run) => `${run.market} ${spelled(run.interval)}: ${[...new Set(run.names)].join(", ")}`).join(" · ");
  const bad = runs.filter((run) => run.critical), broken = runs.filter((run) => run.broken), noted = runs.filter((run) => run.warnings);
  if (bad.length) return verdict("bad", `Critical checks fail in ${plural(bad.length, "place")}`, named(bad));
  if (broken.length) return verdict("unknown", `Rules did not run in ${plural(broken.length, "place")}`, named(broken));
  if (noted.length) return verdict("note", `No critical check fails; ${plural(noted.length, "place")} with warnings`, named(noted));
  return verdict("good", "Every check of every newest run passed");
}

const latest = (runs) => table("Newest checked runs", [{ label: "Series", kind: "h" }, { label: "Result" }, { label: "Checks", kind: "n" }, { label: "Checked (UTC)", kind: "t" }, { label: "Run" }, { label: "Details" }],
  runs.map((run) => {
    const [level, text] = ofChecks(run);
    return [`${run.market} ${spelled(run.interval)}`, pill(level, text), count(run.checks), instant(run.checked_at.slice(0, 19)), runLink(run.run_id), pageLink("quality", { ledger_run: run.run_id }, "all results")];
  }));

const LINES = [["critical", "bad", "critical"], ["warnings", "note", "warnings"], ["quarantined", "held", "refused rows"]];

function trends(found) {
  const places = [...new Set(found.trend.map((row) => `${row.market} ${row.interval}`))];
  if (!places.length) return make("p", { class: "soft" }, "No checks and no refused rows in this time.");
  const days = daysBetween(found.since.slice(0, 10), found.now.slice(0, 10));
  const cards = places.map((place) => {
    const rows = new Map(found.trend.filter((row) => `${row.market} ${row.interval}` === place).map((row) => [row.day, row]));
    const [market, interval] = place.split(" ");
    return make("div", { class: "card" }, make("h2", {}, `${market} ${spelled(interval)}`),
      LINES.map(([name, kind, label]) => {
        const counts = days.map((day) => Number(rows.get(day)?.[name] ?? 0));
        const total = counts.reduce((sum, each) => sum + each, 0);
        return make("div", { class: "line" }, make("span", {}, make("b", {}, count(total)), " ", label), spark(counts, days, kind, `${place}, ${label} by day: ${total} in all`));
      }));
  });
  const rows = [...found.trend].reverse().map((row) => [row.day, `${row.market} ${spelled(row.interval)}`, count(row.checks), count(row.critical), count(row.warnings), count(row.broken), count(row.quarantined)]);
  return [make("div", { class: "trend" }, cards), make("details", {}, make("summary", {}, "The trend as a table"),
    table("Trend", [{ label: "Day (UTC)", kind: "h" }, { label: "Series" }, { label: "Checks", kind: "n" }, { label: "Critical", kind: "n" }, { label: "Warnings", kind: "n" }, { label: "Not run", kind: "n" }, { label: "Refused rows", kind: "n" }], rows, { tall: true }))];
}

function daysBetween(first, last) {
  const days = [];
  for (let day = Date.parse(first); day <= Date.parse(last); day += 86400000) days.push(new Date(day).toISOString().slice(0, 10));
  return days;
}

function spark(counts, days, kind, label) {
  const name = "http://www.w3.org/2000/svg";
  const draw = (tag, properties, text) => {
    const element = document.createElementNS(name, tag);
    for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
    if (text) element.append(Object.assign(document.createElementNS(name, "title"), { textContent: text }));
    return element;
  };
  const width = days.length * 4, high = 40, most = Math.max(1, ...counts);
  const svg = draw("svg", { class: "spark", viewBox: `0 0 ${width} ${high + 2}`, preserveAspectRatio: "none", role: "img" }, label);
  svg.append(draw("line", { x1: 0, x2: width, y1: high + 0.5, y2: high + 0.5 }));
  counts.forEach((value, position) => {
    const tall = value ? Math.max(3, (high * value) / most) : 0;
    if (tall) svg.append(draw("rect", { class: kind, x: position * 4, y: high - tall, width: 3, height: tall }, `${days[position]}: ${value}`));
  });
  return svg;
}

function offenders(rows) {
  if (!rows.length) return make("p", { class: "soft" }, "No ticker stands out.");
  const columns = [{ label: "Ticker", kind: "h" }, { label: "Series" }, { label: "Failed loads", kind: "n" }, { label: "Refused rows", kind: "n" }, { label: "Named by", kind: "w" }, { label: "Go to" }];
  return table("Needs attention", columns, rows.map((row) => [
    pageLink("ticker", { market: row.market, symbol: row.ticker, interval: spelled(row.interval) }, row.ticker), `${row.market} ${spelled(row.interval)}`, count(row.failed_loads), count(row.quarantined), row.named_by.join(", ") || "–",
    startLink("backfill_bars", { market: row.market, interval: row.interval, tickers: row.ticker, mode: "overwrite", reason: "from the Quality page" }, "backfill")]), { tall: true });
}

begin();
const ofRun = asked.ledger_run || (asked.dag_id && asked.run_id);
await filling("body", ofRun ? oneRun : overTime);
