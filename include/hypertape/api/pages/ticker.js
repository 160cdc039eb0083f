// Ticker: one series as candles, what happened to it, and which run each bar came with.

import {
  afterAPause,
  ask,
  asOf,
  begin,
  byId,
  choose,
  count,
  empty,
  filling,
  leaving,
  make,
  onTheme,
  pageLink,
  parameters,
  remember,
  show,
  startLink,
  synthetic,
} from "./common.js";
import { draw, pick, redraw } from "./chart.js";
import { conditions, forget } from "./condition.js";
import { happened } from "./marks.js";
import { listBars } from "./origin.js";
import { BASE, DAY, INTERVALS, RELATION, at, shown } from "./series.js";

const AVERAGES = [10, 20, 50, 100, 200];
const AT_DAYS = {
  "1m": 1,
  "5m": 2,
  "15m": 4,
  "30m": 8,
  "1H": 15,
  "4h": 30,
  "1D": 90,
  "1W": 500,
  "2W": 900,
  "1M": 1800,
};

const MOST_SYMBOLS = 5000;
const MOST_SUGGESTED = 100;

const asked = parameters();
let markets = [];
let listed = null;
let turn = 0;

function leaveByCredit() {
  const credit = byId("credit");
  credit.replaceWith(leaving(credit.href, credit.textContent));
}

async function start() {
  const state = await ask("overview");
  asOf(state.now);
  shown.now = state.now;
  markets = state.markets.filter((market) => market.intervals.length);
  if (!markets.length) {
    show(
      "state",
      empty("The warehouse has no bars yet.", "See ", pageLink("markets", {}, "Markets"), " for how to load some."),
    );
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
    choose(
      "Market",
      "market",
      markets.map((each) => [each.market, each.title]),
      market.market,
      changedMarket,
    ),
    make(
      "label",
      {},
      "Ticker",
      make("input", {
        name: "symbol",
        list: "symbols",
        size: "12",
        autocomplete: "off",
        spellcheck: "false",
        onchange: again,
        oninput: suggest,
      }),
    ),
    make("datalist", { id: "symbols" }),
    make(
      "fieldset",
      {},
      make("legend", {}, "Interval"),
      make(
        "div",
        { class: "choice", role: "radiogroup", "aria-label": "Interval" },
        INTERVALS.map((each) =>
          make(
            "label",
            {},
            make("input", {
              type: "radio",
              name: "interval",
              value: each,
              onchange: again,
              checked: each === (asked.interval ?? "1D"),
            }),
            make("span", {}, each),
          ),
        ),
      ),
    ),
    choose(
      "Bars",
      "limit",
      [100, 252, 1000, 5000].map((each) => [each, `newest ${count(each)}`]),
      asked.limit ?? 252,
      again,
    ),
    make(
      "label",
      {},
      "Up to (UTC)",
      make("input", { name: "end", type: "date", onchange: again, value: asked.end ?? atEnd() }),
    ),
    make(
      "fieldset",
      {},
      make("legend", {}, "Averages"),
      make(
        "div",
        { class: "checks" },
        AVERAGES.map((each) =>
          make(
            "label",
            {},
            make("input", {
              type: "checkbox",
              name: "average",
              value: each,
              checked: averages.includes(each),
              onchange: again,
            }),
            make("span", { class: `swatch ma${each}`, "aria-hidden": "true" }),
            `ma${each}`,
          ),
        ),
      ),
    ),
  );
  place.onsubmit = (event) => {
    event.preventDefault();
    again();
  };
  await symbols(asked.symbol);
}

const atEnd = () =>
  asked.at
    ? new Date(Math.min(Date.parse(asked.at) + (AT_DAYS[asked.interval ?? "1D"] * DAY) / 3, Date.now()))
        .toISOString()
        .slice(0, 10)
    : "";

async function symbols(wanted) {
  const { market, symbol } = byId("form").elements;
  const asked = { mode: market.value, interval: stored(market.value), limit: MOST_SYMBOLS };
  const [found, names] = await Promise.all([ask("series", asked), ask("tickers/name", { mode: market.value })]);
  listed = { asked, names, more: Boolean(found.next) };
  const known = offer(found.series);
  symbol.value = wanted ?? (known.includes(symbol.value) ? symbol.value : (known[0] ?? ""));
}

function offer(series) {
  const known = series.map((each) => each.ticker);
  byId("symbols").replaceChildren(
    ...known.map((each) => make("option", { value: each }, listed.names[each] ?? "")),
  );
  return known;
}

/** A market with more tickers than one list holds is searched while the user types. */
const suggest = afterAPause(async () => {
  const contains = byId("form").elements.symbol.value.trim();
  if (!listed?.more || !contains) return;
  const { asked } = listed;
  const found = await ask("series", { ...asked, contains, limit: MOST_SUGGESTED });
  if (listed.asked === asked) offer(found.series);
});

const stored = (code) => {
  const has = markets.find((each) => each.market === code).intervals.map((each) => each.interval);
  return { "1d": "1D", "1h": "1H", "1m": "1m" }[has.includes("1d") ? "1d" : has[0]];
};

async function changedMarket() {
  await filling("state", () => symbols());
  again();
}

const again = () => {
  asked.at = undefined;
  filling("state", load);
};

function chosenNow() {
  const { market, symbol, interval, limit, end } = byId("form").elements;
  const averages = [...document.querySelectorAll("[name=average]:checked")].map((each) => Number(each.value));
  return {
    market: market.value,
    symbol: symbol.value.trim(),
    interval: interval.value,
    limit: limit.value,
    end: end.value,
    averages,
  };
}

async function load() {
  const chosen = chosenNow();
  const mine = ++turn;
  const { market, symbol, interval, limit, end, averages } = chosen;
  remember({ market, symbol, interval, limit, end, averages: averages.join(","), at: asked.at });
  const of = markets.find((each) => each.market === market);
  byId("title").textContent = symbol ? `${symbol} · ${interval}` : "Ticker";
  document.title = `${symbol} ${interval} · hypertape`;
  if (!symbol) {
    view(false, empty("Which ticker?", "Choose one from the list of the field Ticker."));
    return;
  }
  const [answer, { series: known }] = await Promise.all([
    ask("tickers", { symbol, interval, limit, mode: market, end_date: end }),
    ask("series", { mode: market, symbol, interval: BASE[interval] }),
  ]);
  if (mine !== turn) return;
  Object.assign(shown, { chosen, of, bars: answer[symbol] ?? [] });
  const base = of.intervals.find((each) => each.interval === RELATION[BASE[interval]]);
  const made = { synthetic_tickers: Number(known[0]?.synthetic ?? false), synthetic_named: [symbol] };
  show("banner", synthetic([{ place: `${market} ${BASE[interval]}`, tickers: 1, ...made }]));
  if (!shown.bars.length) {
    view(false, nothing(of, base));
    return;
  }
  view(true);
  forget();
  draw();
  listBars(pick);
  await Promise.all([happened(() => mine !== turn), conditions(() => mine !== turn)]);
  pick(asked.at ? at(Date.parse(asked.at) / 1000) : shown.bars.length - 1, Boolean(asked.at));
}

function nothing(of, base) {
  const { market, symbol, interval, end } = shown.chosen;
  const stored = BASE[interval];
  const backfill = startLink(
    "backfill_bars",
    { market, interval: RELATION[stored], tickers: symbol, reason: "no bars on the Ticker page" },
    "backfill it",
  );
  if (!base)
    return empty(
      `${of.title} has no ${stored} bars, which ${interval} is made of.`,
      "Choose another interval, or ",
      backfill,
      ".",
    );
  if (end) return empty(`${symbol} has no ${interval} bars up to ${end}.`, "Choose a later date, or clear it.");
  return empty(
    `${symbol} has no ${interval} bars.`,
    "Check the spelling against the list of the field Ticker, or ",
    backfill,
    ".",
  );
}

function view(visible, ...content) {
  byId("view").hidden = !visible;
  show("state", content);
}

begin();
onTheme(redraw);
leaveByCredit();
await filling("state", start);
