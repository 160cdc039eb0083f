// Ticker: one series as candles, what happened to it, and which run each bar came with.

import {
  CandlestickSeries, CrosshairMode, HistogramSeries, LineSeries, LineStyle, createChart, createSeriesMarkers,
} from "./vendor/lightweight-charts.mjs";
import {
  ask, asOf, begin, byId, choose, colour, count, empty, failed, filling, instant, leaving, make, number, pageLink,
  parameters, percent, plural, remember, runLink, show, startLink, synthetic, table,
} from "./common.js";

const INTERVALS = ["1m", "5m", "15m", "30m", "1H", "4h", "1D", "1W", "2W", "1M"];
const BASE = { "1m": "1m", "5m": "1m", "15m": "1m", "30m": "1m", "1H": "1H", "4h": "1H", "1D": "1D", "1W": "1D", "2W": "1D", "1M": "1D" };
const RELATION = { "1m": "1m", "1H": "1h", "1D": "1d" };
const AVERAGES = [10, 20, 50, 100, 200];
const AT_DAYS = { "1m": 1, "5m": 2, "15m": 4, "30m": 8, "1H": 15, "4h": 30, "1D": 90, "1W": 500, "2W": 900, "1M": 1800 };
const MOST_MARKS = 1000;
const DAY = 86400000;

const asked = parameters();
let markets = [];
let bars = [];
let chosen = null;
let chart = null;
let candles = null;
let zone = "UTC";

function leaveByCredit() {
  const credit = byId("credit");
  credit.replaceWith(leaving(credit.href, credit.textContent));
}

async function start() {
  const state = await ask("overview");
  asOf(state.now);
  markets = state.markets.filter((market) => market.intervals.length);
  if (!markets.length) {
    show("state", empty("The warehouse has no bars yet.", "See ", pageLink("markets", {}, "Markets"), " for how to load some."));
    return;
  }
  await form();
  await filling("state", load);
}

async function form() {
  const market = markets.find((each) => each.market === asked.market) ?? markets[0];
  const place = byId("form");
  const averages = asked.averages === undefined ? [20, 50, 200] : asked.averages.split(",").map(Number);
  place.replaceChildren(
    choose("Market", "market", markets.map((each) => [each.market, each.title]), market.market, changedMarket),
    make("label", {}, "Ticker", make("input", { name: "symbol", list: "symbols", size: "12", autocomplete: "off", spellcheck: "false", onchange: again })),
    make("datalist", { id: "symbols" }),
    make("fieldset", {}, make("legend", {}, "Interval"), make("div", { class: "choice", role: "radiogroup", "aria-label": "Interval" },
      INTERVALS.map((each) => make("label", {}, make("input", { type: "radio", name: "interval", value: each, onchange: again, checked: each === (asked.interval ?? "1D") }), make("span", {}, each))))),
    choose("Bars", "limit", [100, 252, 1000, 5000].map((each) => [each, `newest ${count(each)}`]), asked.limit ?? 252, again),
    make("label", {}, "Up to (UTC)", make("input", { name: "end", type: "date", onchange: again, value: asked.end ?? atEnd() })),
    make("fieldset", {}, make("legend", {}, "Averages"), make("div", { class: "checks" },
      AVERAGES.map((each) => make("label", {}, make("input", { type: "checkbox", name: "average", value: each, checked: averages.includes(each), onchange: again }),
        make("span", { class: `swatch ma${each}`, "aria-hidden": "true" }), `ma${each}`)))),
  );
  place.onsubmit = (event) => { event.preventDefault(); again(); };
  await symbols(asked.symbol);
}

const atEnd = () => asked.at ? new Date(Math.min(Date.parse(asked.at) + (AT_DAYS[asked.interval ?? "1D"] * DAY) / 3, Date.now())).toISOString().slice(0, 10) : "";

async function symbols(wanted) {
  const { market, symbol } = byId("form").elements;
  const { tickers } = await ask("coverage", { mode: market.value, interval: stored(market.value), by: "month" });
  const names = await ask("tickers/name", { mode: market.value });
  const known = Object.keys(tickers);
  byId("symbols").replaceChildren(...known.map((each) => make("option", { value: each }, names[each] ?? "")));
  symbol.value = wanted ?? (known.includes(symbol.value) ? symbol.value : known[0] ?? "");
}

const stored = (code) => {
  const has = markets.find((each) => each.market === code).intervals.map((each) => each.interval);
  return { "1d": "1D", "1h": "1H", "1m": "1m" }[has.includes("1d") ? "1d" : has[0]];
};

async function changedMarket() {
  await filling("state", () => symbols());
  again();
}

const again = () => { asked.at = undefined; filling("state", load); };

function chosenNow() {
  const { market, symbol, interval, limit, end } = byId("form").elements;
  const averages = [...document.querySelectorAll("[name=average]:checked")].map((each) => Number(each.value));
  return { market: market.value, symbol: symbol.value.trim(), interval: interval.value, limit: limit.value, end: end.value, averages };
}

let turn = 0;

async function load() {
  chosen = chosenNow();
  const mine = ++turn;
  const { market, symbol, interval, limit, end, averages } = chosen;
  remember({ market, symbol, interval, limit, end, averages: averages.join(","), at: asked.at });
  const of = markets.find((each) => each.market === market);
  zone = of.zone;
  byId("title").textContent = symbol ? `${symbol} · ${interval}` : "Ticker";
  document.title = `${symbol} ${interval} · hypertape`;
  if (!symbol) {
    view(false, empty("Which ticker?", "Choose one from the list of the field Ticker."));
    return;
  }
  const answer = await ask("tickers", { symbol, interval, limit, mode: market, end_date: end });
  if (mine !== turn) return;
  bars = answer[symbol] ?? [];
  const base = of.intervals.find((each) => each.interval === RELATION[BASE[interval]]);
  show("banner", base?.synthetic && synthetic());
  if (!bars.length) {
    view(false, nothing(of, base));
    return;
  }
  view(true);
  draw(averages, of);
  listBars(of);
  await happened(mine);
  pick(asked.at ? at(Date.parse(asked.at) / 1000) : bars.length - 1, Boolean(asked.at));
}

function nothing(of, base) {
  const { market, symbol, interval, end } = chosen;
  const stored = BASE[interval];
  const backfill = startLink("backfill_bars", { market, interval: RELATION[stored], tickers: symbol, reason: "no bars on the Ticker page" }, "backfill it");
  if (!base) return empty(`${of.title} has no ${stored} bars, which ${interval} is made of.`, "Choose another interval, or ", backfill, ".");
  if (end) return empty(`${symbol} has no ${interval} bars up to ${end}.`, "Choose a later date, or clear it.");
  return empty(`${symbol} has no ${interval} bars.`, "Check the spelling against the list of the field Ticker, or ", backfill, ".");
}

function view(visible, ...content) {
  byId("view").hidden = !visible;
  show("state", content);
}

// ------------------------------------------------------------------------------------------------ the chart

const daily = () => ["1D", "1W", "2W", "1M"].includes(chosen.interval);
const seconds = (text) => Date.parse(text.length === 10 ? text : /Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`) / 1000;
const timeOf = (bar) => (daily() ? bar.time : seconds(bar.time));
const keyOf = (time) => typeof time === "object" ? [time.year, String(time.month).padStart(2, "0"), String(time.day).padStart(2, "0")].join("-") : time;

/** The bar that holds an instant (seconds since 1970): the last one that opens at it or before; -1 before the first. */
function at(instantOf) {
  let low = 0, high = bars.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (seconds(bars[middle].time) <= instantOf) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

let marker = null;

function draw(averages, of) {
  chart?.remove();
  const place = byId("chart");
  const [ink, line, up, down] = ["soft", "line", "up", "down"].map(colour);
  chart = createChart(place, {
    autoSize: true,
    layout: { background: { color: colour("card") }, textColor: ink, fontSize: 12, attributionLogo: false },
    grid: { vertLines: { color: line, style: LineStyle.Dotted }, horzLines: { color: line, style: LineStyle.Dotted } },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line, timeVisible: !daily(), secondsVisible: false },
    localization: { locale: "en-GB", priceFormatter: (value) => number(Number(value.toPrecision(8))) },
  });
  candles = chart.addSeries(CandlestickSeries, {
    upColor: "rgba(0, 0, 0, 0)", borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down,
  });
  candles.setData(bars.map((bar) => ({ time: timeOf(bar), open: bar.open, high: bar.high, low: bar.low, close: bar.close })));
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.24 } });
  const volume = chart.addSeries(HistogramSeries, { priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false, priceFormat: { type: "volume" } });
  volume.setData(bars.map((bar) => ({ time: timeOf(bar), value: bar.volume, color: `${bar.close >= bar.open ? up : down}88` })));
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  for (const each of averages) {
    const average = chart.addSeries(LineSeries, { color: colour(`ma${each}`), lineWidth: each >= 100 ? 2 : 1, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false });
    average.setData(bars.filter((bar) => bar[`ma${each}`] !== undefined).map((bar) => ({ time: timeOf(bar), value: bar[`ma${each}`] })));
  }
  marker = createSeriesMarkers(candles, []);
  chart.subscribeCrosshairMove((event) => event.time !== undefined && readout(at(secondsOf(event.time)), of));
  chart.subscribeClick((event) => event.time !== undefined && pick(at(secondsOf(event.time)), true));
  if (bars.length > 260) chart.timeScale().setVisibleLogicalRange({ from: bars.length - 200, to: bars.length + 3 });
  else chart.timeScale().fitContent();
  place.onkeydown = moved;
}

const secondsOf = (time) => (typeof time === "number" ? time : seconds(keyOf(time)));

let picked = -1;

function moved(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
  if (event.key === "Enter") origin(picked);
  else if (event.key === "Home") pick(0);
  else if (event.key === "End") pick(bars.length - 1);
  else if (step) pick(Math.max(0, Math.min(bars.length - 1, picked + step)));
  else return;
  event.preventDefault();
}

function pick(position, ask = false) {
  picked = Math.max(0, position);
  const bar = bars[picked];
  const range = chart.timeScale().getVisibleLogicalRange();
  if (range && (picked < range.from || picked > range.to)) chart.timeScale().scrollToPosition(picked - bars.length + 20, false);
  readout(picked);
  requestAnimationFrame(() => bars[picked] === bar && chart.setCrosshairPosition(bar.close, timeOf(bar), candles));
  if (ask) origin(picked);
  else show("origin", make("h2", {}, "Where a bar came from"), make("p", { class: "soft" }, "Click a bar, or focus the chart, move with the arrow keys and press Enter."));
}

function readout(position) {
  const bar = bars[position];
  if (!bar) return;
  const unit = markets.find((each) => each.market === chosen.market).price_unit;
  const field = (name, value) => make("span", {}, name, " ", make("b", {}, value));
  show("readout", make("b", {}, instant(bar.time, true), daily() ? "" : " UTC"), field("open", number(bar.open)), field("high", number(bar.high)),
    field("low", number(bar.low)), field("close", number(bar.close)), make("span", {}, unit), field("volume", number(bar.volume)),
    bar.close_changed !== undefined && field("change", `${bar.close_changed > 0 ? "+" : ""}${percent(bar.close_changed)}`),
    ...chosen.averages.filter((each) => bar[`ma${each}`] !== undefined).map((each) => field(`ma${each}`, number(Number(bar[`ma${each}`].toPrecision(7))))));
}

// ------------------------------------------------------------------------------------------------ marks

async function happened(mine) {
  const { market, symbol, interval } = chosen;
  const series = { mode: market, symbol, interval: BASE[interval], limit: MOST_MARKS };
  const [from, to] = [bars[0].time.slice(0, 10), lastDay()];
  const [former, gaps, refused, actions] = await Promise.all([
    ask("revisions", { ...series, start_date: from, end_date: to }), ask("gaps", { ...series, open: "false" }),
    ask("quarantine", { ...series, open: "false" }), ask("actions", { mode: market, symbol, start_date: from, end_date: to }),
  ]);
  const replaced = await replacing(former.revisions);
  if (mine !== turn) return;
  const inside = (text) => { const time = seconds(text); return time >= seconds(bars[0].time) && time < Date.parse(to) / 1000 + 86400; };
  const found = [
    ...restated(former.revisions, replaced),
    ...gaps.gaps.filter((gap) => inside(gap.start_time) || inside(gap.end_time)).map(gapMark),
    ...refused.quarantine.filter((row) => row.time && inside(row.time)).map(refusedMark),
    ...(chosen.interval === "1M" ? [] : actions.actions).map(actionMark),
  ];
  const marks = found.flatMap((each) => each.times.map((time) => ({ ...each.look, at: at(seconds(time)) }))).filter((each) => each.at >= 0);
  const seen = new Set();
  const unique = marks.filter((each) => { const key = `${each.at} ${each.kind}`; return !seen.has(key) && seen.add(key); });
  const crowded = unique.length > 60;
  marker.setMarkers(unique.sort((a, b) => a.at - b.at).map(({ at: position, sign, shape, side, tone }) => ({
    time: timeOf(bars[position]), position: side, shape, color: colour(tone), text: crowded && sign === "R" ? "" : sign, size: crowded && sign === "R" ? 0.4 : 1,
  })));
  list(found, former.next);
}

const lastDay = () => {
  const width = { "1W": 6, "2W": 13, "1M": 30 }[chosen.interval] ?? 0;
  return new Date(Date.parse(bars.at(-1).time.slice(0, 10)) + width * DAY).toISOString().slice(0, 10);
};

async function replacing(revisions) {
  const ids = [...new Set(revisions.map((row) => row.replaced_by))].slice(0, 20);
  const answers = await Promise.all(ids.map((id) => ask("loads", { load_id: id })));
  return new Map(answers.flatMap((answer) => answer.loads).map((row) => [row.load_id, row]));
}

const LOOKS = {
  restated: { kind: "restated", sign: "R", shape: "circle", side: "belowBar", tone: "note", text: "restated by the vendor" },
  gap: { kind: "gap", sign: "G", shape: "arrowDown", side: "aboveBar", tone: "bad", text: "bars missing after this one" },
  refused: { kind: "refused", sign: "Q", shape: "square", side: "aboveBar", tone: "unknown", text: "a row was refused (quarantine)" },
  split: { kind: "split", sign: "S", shape: "arrowUp", side: "belowBar", tone: "accent", text: "split" },
  dividend: { kind: "dividend", sign: "D", shape: "arrowUp", side: "belowBar", tone: "good", text: "dividend" },
};

function restated(revisions, loads) {
  const byLoad = Map.groupBy ? Map.groupBy(revisions, (row) => row.replaced_by) : grouped(revisions);
  return [...byLoad].map(([id, rows]) => {
    const load = loads.get(id);
    const sample = rows.find((row) => bars[at(seconds(row.time))]) ?? rows[0];
    const now = BASE[chosen.interval] === chosen.interval ? bars[at(seconds(sample.time))] : null;
    const changed = now ? ["open", "high", "low", "close", "volume"].filter((name) => now[name] !== sample[name]) : [];
    return {
      look: LOOKS.restated, times: rows.map((row) => row.time), first: rows[0].time,
      what: `${plural(rows.length, "bar")} restated`,
      detail: `${span(rows[0].time, rows.at(-1).time)}` + (changed.length ? ` · for example ${instant(sample.time, true)}: ${changed.map((name) => `${name} ${number(sample[name])} → ${number(now[name])}`).join(", ")}` : ` · for example close was ${number(sample.close)}`),
      when: sample.valid_to, run: load?.run_id,
    };
  });
}

function grouped(rows) {
  const found = new Map();
  for (const row of rows) found.set(row.replaced_by, [...(found.get(row.replaced_by) ?? []), row]);
  return found;
}

const span = (first, last) => (first === last ? instant(first, true) : `${instant(first, true)} to ${instant(last, true)}`);

const gapMark = (gap) => ({
  look: LOOKS.gap, times: [new Date(Date.parse(gap.start_time) - 1000).toISOString()], first: gap.start_time,
  what: `gap: ${gap.reason}`,
  detail: `${span(gap.start_time, gap.end_time)} · ${plural(gap.sessions ?? 1, "session")}, ${plural(gap.bars, "bar")}${gap.detail ? ` · ${gap.detail}` : ""}${gap.closed_at ? ` · closed: ${gap.closed_reason ?? ""} ${instant(gap.closed_at.slice(0, 19))}` : " · open"}`,
  when: gap.found_at, run: gap.found_run, open: !gap.closed_at, gap,
});

const refusedMark = (row) => ({
  look: LOOKS.refused, times: [row.time], first: row.time, what: `refused: ${row.rule}`,
  detail: `${instant(row.time, true)} · value ${row.value ?? "–"} from ${row.source}${row.released_at ? ` · released ${instant(row.released_at.slice(0, 19))}` : ""}`,
  when: row.quarantined_at, run: row.run_id,
});

const actionMark = (action) => ({
  look: LOOKS[action.kind], times: [action.time], first: action.time, what: action.kind,
  detail: `${instant(action.time, true)} · ${action.kind === "split" ? `${number(action.value)} new shares per old one` : `${number(action.value)} per share`}`,
  when: null, run: null,
});

function list(found, more) {
  const kinds = [...new Set(found.map((each) => each.look))];
  show("legend", kinds.map((look) => make("span", {}, make("i", { class: look.tone }, look.sign), look.text)));
  show("marks-say", found.length ? `in the shown bars, from the ledgers of ${BASE[chosen.interval]}` : "");
  if (!found.length) {
    show("marks", make("p", { class: "soft" }, "Nothing: no restatement, gap, refused row, split or dividend in the shown bars."));
    return;
  }
  const columns = [{ label: "What", kind: "h" }, { label: "Bars and details", kind: "w" }, { label: "Noticed (UTC)", kind: "t" }, { label: "Run" }, { label: "Go to" }];
  const rows = found.sort((a, b) => (a.first < b.first ? 1 : -1)).map((each) => [
    make("span", { class: each.look.tone }, make("span", { "aria-hidden": "true" }, `${each.look.sign} `), each.what), each.detail,
    each.when ? instant(each.when.slice(0, 19)) : "–", each.run ? runLink(each.run) : "–",
    make("span", { class: "links" }, make("button", { type: "button", class: "plain", onclick: () => pick(at(seconds(each.times[0])), true) }, "show"),
      each.open && startLink("backfill_bars", { market: chosen.market, interval: RELATION[BASE[chosen.interval]], tickers: chosen.symbol, start: each.gap.start_time.slice(0, 10), end: nextDay(each.gap.end_time), reason: `gap: ${each.gap.reason}` }, "backfill")),
  ]);
  show("marks", table("What happened to these bars", columns, rows, { tall: true }), more && make("p", { class: "soft" }, `Only the first ${count(MOST_MARKS)} restated bars are shown; choose fewer bars for the others.`));
}

const nextDay = (text) => new Date(Date.parse(text.slice(0, 10)) + (text.slice(11, 19) === "00:00:00" ? 0 : DAY)).toISOString().slice(0, 10);

// ------------------------------------------------------------------------------------------------ where a bar came from

function origin(position) {
  const bar = bars[position];
  return filling("origin", async () => {
    const { market, symbol, interval } = chosen;
    const found = await ask("origin", { mode: market, symbol, interval, time: bar.time });
    const facts = ["open", "high", "low", "close", "volume"].flatMap((name) => [make("dt", {}, name), make("dd", {}, number(bar[name]))]);
    const day = bar.time.slice(0, 10);
    show("origin", make("h2", {}, `Bar of ${instant(bar.time, true)}${daily() ? "" : " UTC"}`), make("dl", { class: "facts two" }, facts),
      make("h3", {}, found.loads.length === 1 ? "Loaded by" : `Made of bars from ${plural(found.total, "load")}`),
      found.loads.length ? found.loads.slice(0, 8).map(loadCard) : make("p", { class: "soft" }, "No load is on record: the bar is served by another store."),
      found.total > 8 && make("p", { class: "soft" }, `and ${plural(found.total - 8, "older load")}`),
      make("p", {}, startLink("backfill_bars", { market, interval: RELATION[BASE[interval]], tickers: symbol, start: day, end: nextDay(`${found.end.slice(0, 10)}T${found.end.slice(11, 19)}`), mode: "overwrite", reason: `bar of ${day} on the Ticker page` }, "Load this time again …")));
  });
}

function loadCard(load) {
  const pair = (name, ...value) => [make("dt", {}, name), make("dd", {}, value)];
  return make("dl", { class: "facts two" }, pair("run", runLink(load.run_id)), pair("loaded, UTC", instant(load.loaded_at.slice(0, 19))), pair("source", load.source),
    pair("window", span(load.window_start, load.window_end)), pair("wrote of this", plural(load.bars, "bar")), load.reason && pair("reason", load.reason),
    pair("checks", pageLink("quality", { ledger_run: load.run_id }, "of the run")));
}

// ------------------------------------------------------------------------------------------------ the table

function listBars(of) {
  const names = ["open", "high", "low", "close", "volume"];
  const columns = [{ label: daily() ? "Date" : "Opening, UTC", kind: "h" }, ...names.map((name) => ({ label: name === "volume" ? name : `${name}, ${of.price_unit}`, kind: "n" })),
    ...chosen.averages.map((each) => ({ label: `ma${each}`, kind: "n" })), { label: "Change", kind: "n" }, { label: "Came from" }];
  const draw = () => {
    const newest = bars.map((bar, position) => [bar, position]).slice(-500).reverse();
    const rows = newest.map(([bar, position]) => [instant(bar.time, true), ...names.map((name) => number(bar[name])),
      ...chosen.averages.map((each) => (bar[`ma${each}`] === undefined ? "–" : number(Number(bar[`ma${each}`].toPrecision(9))))), percent(bar.close_changed),
      make("button", { type: "button", class: "plain", "aria-label": `Where the bar of ${instant(bar.time, true)} came from`, onclick: () => pick(position, true) }, "show")]);
    show("table", make("p", { class: "soft" }, bars.length > 500 ? `The newest 500 of ${count(bars.length)}; all of them: ` : "As a file: ",
      make("code", {}, `GET /hypertape/tickers?symbol=${chosen.symbol}&interval=${chosen.interval}&mode=${chosen.market}&format=csv`)), table(`${chosen.symbol} ${chosen.interval} bars`, columns, rows, { tall: true }));
  };
  byId("table-box").ontoggle = (event) => event.target.open && draw();
  if (byId("table-box").open) draw();
}

begin();
leaveByCredit();
await filling("state", start);
