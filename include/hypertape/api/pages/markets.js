// Markets: how fresh everything is, which sessions are covered, what failed, what ran last.

import {
  airflowLink, ask, asOf, begin, byId, choose, count, dagOf, dagPath, dagRun, empty, filling, instant, make, ofChecks,
  pageLink, parameters, pill, plural, runLink, show, spelled, startLink, synthetic, table, verdict,
} from "./common.js";

const USUAL_SESSIONS = 30;
const ROWS = 40;
const REASONS = {
  holiday: "H", "not listed": "N", delisted: "D", halted: "T", "provider empty": "P", "fetch failed": "F", unknown: "?",
};
const LIVE_SESSIONS = 10;

const asked = parameters();
const own = /^(?:bars|heal_gaps)_([a-z0-9]+)_(1d|1h|1m)$/.exec(asked.dag_id ?? "");
let state = null;

async function load() {
  state = await ask("overview");
  asOf(state.now);
  const places = state.markets.flatMap((market) => market.intervals.map((entry) => ({ ...entry, of: market })));
  show("banner", places.some((entry) => entry.synthetic) && synthetic());
  show("verdict", summary(places));
  if (!places.length) {
    show("fresh", empty("The warehouse has no bars yet.", "Unpause a DAG ",
      airflowLink("dags?tags=bars", "tagged “bars”"), ", or load the sample: ",
      make("code", {}, "hypertape sync -m vn -i 1d --source sample"), "."));
    for (const id of ["cover-form", "cover", "legend", "cover-say"]) show(id);
  } else {
    show("fresh", freshness(places));
    coverForm(places);
    filling("cover", cover);
  }
  show("failing", failures());
  filling("runs", lastRuns);
}

function summary(places) {
  if (!places.length) return null;
  const named = (some) => some.map((entry) => `${entry.of.market} ${spelled(entry.interval)}`).join(", ");
  const bad = places.filter((entry) => entry.last_run?.critical);
  const late = places.filter((entry) => entry.late);
  if (bad.length) return verdict("bad", `${plural(bad.length, "place")} with failed critical checks`, named(bad));
  if (state.failing_total) return verdict("bad", `${plural(state.failing_total, "ticker")} could not be loaded`, "The newest load of each failed; see Failures.");
  if (late.length) return verdict("note", `${late.length} of ${places.length} are behind their calendar`, named(late));
  return verdict("good", "Everything held is fresh and passed its critical checks");
}

function freshness(places) {
  const columns = [
    { label: "Market", kind: "h" }, { label: "Interval" }, { label: "Freshness" },
    { label: "Newest bar (UTC)", kind: "t" },
    { label: "Watermark (UTC)", kind: "t", title: "Up to here every series was loaded and validated" },
    { label: "Tickers", kind: "n" }, { label: "Bars", kind: "n", title: "Counted in the load ledger" },
    { label: "Open gaps", kind: "n", title: "Bars in open entries of the gap ledger" }, { label: "Refused", kind: "n", title: "Rows in quarantine" }, { label: "Last checks" }, { label: "Go to" },
  ];
  return table("Freshness by market and interval", columns, places.map(freshnessRow), { id: "freshness" });
}

function freshnessRow(entry) {
  const { market, title, zone, trading } = entry.of;
  const dag = dagOf(market, entry.interval);
  const [level, text] = ofChecks(entry.last_run);
  const run = entry.last_run && dagRun(entry.last_run.run_id);
  return [
    make("span", { title: `${zone}: ${trading ? "trading now" : "closed now"}` }, title, " ", make("span", { class: "unit" }, trading ? "● open" : "○ closed")),
    pageLink("ticker", { market, interval: spelled(entry.interval) }, spelled(entry.interval), { title: "A chart of one of its tickers" }),
    entry.late
      ? pill("bad", `${plural(entry.behind, "session")} behind`, `allowed: ${entry.of.allowed}`)
      : pill("good", entry.behind ? `${plural(entry.behind, "session")} behind, allowed ${entry.of.allowed}` : "up to date"),
    instant(entry.last_time, entry.interval === "1d"),
    instant(entry.watermark, entry.interval === "1d"),
    count(entry.tickers), count(entry.bars), count(entry.gap_bars), count(entry.quarantined),
    entry.last_run ? pageLink("quality", { ledger_run: entry.last_run.run_id }, pill(level, text), { title: entry.last_run.names.join(", ") }) : pill(level, text),
    make("span", { class: "links row" },
      airflowLink(dagPath(dag), "DAG", { title: dag }),
      run && runLink(entry.last_run.run_id, "run"),
      startLink("backfill_bars", { market, interval: entry.interval, reason: "from the Markets page" }, "backfill"),
      startLink(`heal_gaps_${market}_${entry.interval}`, {}, "heal")),
  ];
}

function coverForm(places) {
  const first = places.find((entry) => entry.of.market === (own?.[1] ?? asked.market) && (!own || entry.interval === own[2])) ?? places[0];
  const place = asked.place ?? `${first.of.market} ${first.interval}`;
  const again = () => filling("cover", cover);
  const options = places.map((entry) => [`${entry.of.market} ${entry.interval}`, `${entry.of.title} · ${spelled(entry.interval)}`]);
  const form = byId("cover-form");
  form.replaceChildren(
    choose("Market and interval", "place", options, place, again),
    choose("Sessions", "sessions", [10, 20, 30, 60, 90].map((each) => [each, `last ${each}`]), asked.sessions ?? USUAL_SESSIONS, again),
    choose("Order", "order", [["worst", "most missing first"], ["name", "by name"]], "worst", again),
    make("label", {}, "Ticker contains", make("input", { name: "like", type: "search", size: "12", oninput: () => drawn && draw() })),
  );
  form.onsubmit = (event) => event.preventDefault();
}

let drawn = null;

async function cover() {
  const form = byId("cover-form");
  const [market, interval] = form.elements.place.value.split(" ");
  const sessions = Number(form.elements.sessions.value);
  const of = state.markets.find((each) => each.market === market);
  const entry = of.intervals.find((each) => each.interval === interval);
  const live = entry.behind <= LIVE_SESSIONS;
  const end = (live ? state.now : entry.last_time).slice(0, 10);
  const days = Math.min(100, Math.ceil(sessions * (of.market === "crypto" ? 1 : 1.5)) + 8);
  const start = new Date(Date.parse(end) - (days - 1) * 86400000).toISOString().slice(0, 10);
    const [held, gaps, refused] = await Promise.all([
    ask("coverage", { mode: market, interval: spelled(interval), by: "day", start_date: start, end_date: end }),
    ask("gaps", { mode: market, interval: spelled(interval), limit: 5000 }),
    ask("quarantine", { mode: market, interval: spelled(interval), limit: 5000 }),
  ]);
  const due = held.expected.map((bars, position) => [bars, position])
    .filter(([bars, position]) => bars > 0 && held.buckets[position] <= (of.last_session?.date ?? end)).slice(-sessions);
  drawn = { market, interval, of, entry, live, held, due, rows: null };
  drawn.rows = Object.entries(held.tickers).map(([ticker, each]) => line(ticker, each, gaps.gaps, refused.quarantine));
  draw();
}

function line(ticker, { first, bars }, gaps, refused) {
  const { held, due } = drawn;
  const mine = gaps.filter((gap) => gap.ticker === ticker);
  const bad = new Set(refused.filter((row) => row.ticker === ticker && row.time).map((row) => row.time.slice(0, 10)));
  let missing = 0, total = 0;
  const cells = due.map(([expected, position]) => {
    const day = held.buckets[position];
    if (day < first.slice(0, 10)) return { day, kind: "before" };
    const has = Math.min(bars[position], expected);
    missing += expected - has;
    total += expected;
    const gap = has ? null : mine.find((each) => each.start_time.slice(0, 10) <= day && day < endDay(each));
    return { day, has: bars[position], expected, ratio: has / expected, gap, refused: bad.has(day) };
  });
  return { ticker, cells, missing, total };
}

// A gap's end is its last session's close, or for daily bars the midnight after its last one.
const endDay = (gap) => gap.end_time.slice(11, 19) === "00:00:00" ? gap.end_time.slice(0, 10) : `${gap.end_time.slice(0, 10)}~`;

function draw(all = false) {
  const { market, interval, of, entry, live, held, due, rows } = drawn;
  const form = byId("cover-form").elements;
  const like = form.like.value.trim().toUpperCase();
  const order = form.order.value === "name" ? (a, b) => (a.ticker < b.ticker ? -1 : 1) : (a, b) => b.missing - a.missing || (a.ticker < b.ticker ? -1 : 1);
  const found = rows.filter((row) => row.ticker.toUpperCase().includes(like)).sort(order);
  const shown = all ? found : found.slice(0, ROWS);
  const days = due.map(([, position]) => held.buckets[position]);
  show("cover-say", days.length ? `${days[0]} to ${days.at(-1)}, sessions in ${of.zone}` : "",
    !live && ` · ends at the newest bar; ${plural(entry.behind, "session")} after it have none`);
  show("legend", legend(interval));
  if (!found.length) {
    show("cover", empty(like ? `No ticker contains “${like}”.` : "No sessions in this time.", like ? "Clear the filter." : "Choose more sessions."));
    return;
  }
  const head = make("tr", {}, make("th", { scope: "col" }, "Ticker"),
    days.map((day, position) => make("th", { scope: "col", title: day, "aria-label": day },
      make("b", {}, day.slice(8)), position === 0 || day.slice(0, 7) !== days[position - 1].slice(0, 7) ? month(day) : "\u00a0")),
    make("th", { scope: "col" }, interval === "1d" ? "missing" : "there"));
  const body = shown.map((row) => make("tr", {},
    make("th", { scope: "row" }, pageLink("ticker", { market, symbol: row.ticker, interval: spelled(interval) }, row.ticker)),
    row.cells.map((each) => cell(row.ticker, each)),
    make("td", { class: "n" }, interval === "1d" ? count(row.missing) : row.total ? `${Math.floor((100 * (row.total - row.missing)) / row.total)} %` : "–")));
  show("cover",
    make("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Coverage by ticker and session", id: "heat" },
      make("table", { class: "heat" }, make("thead", {}, head), make("tbody", {}, body))),
    found.length > shown.length && make("p", {}, `${shown.length} of ${plural(found.length, "ticker")}. `,
      make("button", { type: "button", onclick: () => draw(true) }, "Show all")));
}

const month = (day) => new Date(`${day}T00:00:00Z`).toLocaleDateString("en", { month: "short", timeZone: "UTC" });

function cell(ticker, each) {
  const { market, interval } = drawn;
  if (each.kind === "before") return make("td", { class: "none", title: `${ticker} ${each.day}: before its first bar` }, "·");
  const say = `${ticker} ${each.day}: ${count(each.has)} of ${plural(each.expected, "bar")}`
    + (each.gap ? `, ${each.gap.reason}${each.gap.detail ? ` (${each.gap.detail})` : ""}` : "") + (each.refused ? ", a row was refused" : "");
  const text = each.gap ? REASONS[each.gap.reason] ?? "?"
    : !each.has ? "✕" : each.refused ? "!" : interval === "1d" || each.ratio >= 0.995 ? "■" : String(Math.floor(100 * each.ratio));
  const quiet = each.gap && ["holiday", "not listed", "delisted", "halted"].includes(each.gap.reason);
  const kind = quiet ? "hx" : shade(each.ratio);
  const plain = each.has && !each.refused;
  return make("td", { class: kind, title: say, "aria-label": say },
    plain ? (text === "■" ? "" : text)
      : pageLink("ticker", { market, symbol: ticker, interval: spelled(interval), at: each.day }, text, { "aria-label": `${say}. Show it.` }));
}

const SHADES = [[0.995, "h5"], [0.95, "h4"], [0.8, "h3"], [0.5, "h2"], [1e-9, "h1"]];
const shade = (ratio) => SHADES.find(([least]) => ratio >= least)?.[1] ?? "h0";

function legend(interval) {
  const item = (kind, sign, text) => make("span", {}, make("i", { class: kind }, sign), text);
  const part = interval === "1d" ? [] : [item("h4", "97", "percent of a full session’s bars"), item("h2", "60", "half or more")];
  return [
    item("h5", "\u00a0", "complete"), ...part, item("h0", "✕", "no bar, not classified yet"), item("h0", "F", "fetch failed"), item("h0", "P", "provider empty"),
    item("h0", "?", "reason unknown"), item("h5", "!", "a row was refused"), item("hx", "T", "explained: T halted, H holiday, N not listed, D delisted"), item("none", "·", "before the first bar"),
  ];
}

function failures() {
  if (!state.failing.length) return make("p", { class: "soft" }, "None: the newest load of every ticker went through.");
  const columns = [
    { label: "Ticker", kind: "h" }, { label: "Series" }, { label: "When (UTC)", kind: "t" }, { label: "Source" },
    { label: "What went wrong", kind: "w" }, { label: "Run" }, { label: "Go to" },
  ];
  const rows = state.failing.map((row) => [
    pageLink("ticker", { market: row.market, symbol: row.ticker, interval: spelled(row.interval) }, row.ticker),
    `${row.market} ${spelled(row.interval)}`, instant(row.loaded_at), row.source, row.error, runLink(row.run_id),
    startLink("backfill_bars", { market: row.market, interval: row.interval, tickers: row.ticker, reason: `newest load failed: run ${row.run_id}` }, "backfill"),
  ]);
  return [table("Failures", columns, rows), state.failing_total > rows.length && make("p", { class: "soft" }, `${state.failing_total - rows.length} more: `, make("code", {}, "GET /hypertape/loads?status=failed"))].filter(Boolean);
}

async function lastRuns() {
  const { runs } = await ask("runs", own ? { mode: own[1], interval: spelled(own[2]) } : {});
  if (!runs.length) {
    show("runs", empty("Nothing ran yet.", "Unpause a DAG ", airflowLink("dags?tags=bars", "tagged “bars”"), "."));
    return;
  }
  const columns = [
    { label: "Run", kind: "h" }, { label: "Series" }, { label: "Loaded (UTC)", kind: "t" }, { label: "Source" },
    { label: "Tickers", kind: "n" }, { label: "Failed", kind: "n" }, { label: "New bars", kind: "n" },
    { label: "Restated or corrected", kind: "n" }, { label: "Unchanged", kind: "n" }, { label: "Refused rows", kind: "n" }, { label: "Checks" },
  ];
  const rows = runs.map((run) => {
    const [level, text] = ofChecks(run);
    return [
      runLink(run.run_id), `${run.market} ${spelled(run.interval)}`, instant(run.loaded_at.replace(/\.\d+/, "")), run.sources.join(", "),
      count(run.tickers), run.failed ? make("span", { class: "bad" }, `✕ ${count(run.failed)}`) : "0",
      count(run.inserted), count(run.updated), count(run.unchanged), count(run.quarantined),
      pageLink("quality", { ledger_run: run.run_id }, pill(level, text)),
    ];
  });
  show("runs", table("Last runs", columns, rows, { tall: true }));
}

begin();
await filling("fresh", load);
