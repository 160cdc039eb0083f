// The coverage map of the Markets page: a row per ticker, a column per session, and the reason of every hole.

import { ask, byId, choose, count, empty, filling, make, pageLink, plural, show, spelled } from "./common.js";

const USUAL_SESSIONS = 30;
const ROWS = 40;
const REASONS = {
  holiday: "H",
  "not listed": "N",
  delisted: "D",
  halted: "T",
  "provider empty": "P",
  "fetch failed": "F",
  unknown: "?",
};
const LIVE_SESSIONS = 10;

let state = null;
let drawn = null;

/** Draw the form above the map, and the map it asks for. `answer` is /overview's; `wanted` may have place and sessions. */
export function coverage(answer, wanted) {
  state = answer;
  const places = state.markets.flatMap((market) => market.intervals.map((entry) => ({ ...entry, of: market })));
  const place = wanted.place ?? `${places[0].of.market} ${places[0].interval}`;
  const again = () => filling("cover", cover);
  const options = places.map((entry) => [
    `${entry.of.market} ${entry.interval}`,
    `${entry.of.title} · ${spelled(entry.interval)}`,
  ]);
  const form = byId("cover-form");
  form.replaceChildren(
    choose("Market and interval", "place", options, place, again),
    choose(
      "Sessions",
      "sessions",
      [10, 20, 30, 60, 90].map((each) => [each, `last ${each}`]),
      wanted.sessions ?? USUAL_SESSIONS,
      again,
    ),
    choose(
      "Order",
      "order",
      [
        ["worst", "most missing first"],
        ["name", "by name"],
      ],
      "worst",
      again,
    ),
    make(
      "label",
      {},
      "Ticker contains",
      make("input", { name: "like", type: "search", size: "12", oninput: () => drawn && draw() }),
    ),
  );
  form.onsubmit = (event) => event.preventDefault();
  filling("cover", cover);
}

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
  const due = held.expected
    .map((bars, position) => [bars, position])
    .filter(([bars, position]) => bars > 0 && held.buckets[position] <= (of.last_session?.date ?? end))
    .slice(-sessions);
  drawn = { market, interval, of, entry, live, held, due, rows: null, more: Boolean(gaps.next) };
  drawn.rows = Object.entries(held.tickers).map(([ticker, each]) => line(ticker, each, gaps.gaps, refused.quarantine));
  draw();
}

function line(ticker, { first, bars }, gaps, refused) {
  const { held, due } = drawn;
  const mine = gaps.filter((gap) => gap.ticker === ticker);
  const bad = new Set(refused.filter((row) => row.ticker === ticker && row.time).map((row) => row.time.slice(0, 10)));
  let missing = 0,
    total = 0;
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
const endDay = (gap) =>
  gap.end_time.slice(11, 19) === "00:00:00" ? gap.end_time.slice(0, 10) : `${gap.end_time.slice(0, 10)}~`;

function draw(all = false) {
  const { market, interval, of, entry, live, held, due, rows } = drawn;
  const form = byId("cover-form").elements;
  const like = form.like.value.trim().toUpperCase();
  const order =
    form.order.value === "name"
      ? (a, b) => (a.ticker < b.ticker ? -1 : 1)
      : (a, b) => b.missing - a.missing || (a.ticker < b.ticker ? -1 : 1);
  const found = rows.filter((row) => row.ticker.toUpperCase().includes(like)).sort(order);
  const shown = all ? found : found.slice(0, ROWS);
  const days = due.map(([, position]) => held.buckets[position]);
  show(
    "cover-say",
    days.length ? `${days[0]} to ${days.at(-1)}, sessions in ${of.zone}` : "",
    !live && ` · ends at the newest bar; ${plural(entry.behind, "session")} after it have none`,
  );
  show("legend", legend(interval));
  if (!found.length) {
    show(
      "cover",
      empty(
        like ? `No ticker contains “${like}”.` : "No sessions in this time.",
        like ? "Clear the filter." : "Choose more sessions.",
      ),
    );
    return;
  }
  const head = make(
    "tr",
    {},
    make("th", { scope: "col" }, "Ticker"),
    days.map((day, position) =>
      make(
        "th",
        { scope: "col", title: day, "aria-label": day },
        make("b", {}, day.slice(8)),
        position === 0 || day.slice(0, 7) !== days[position - 1].slice(0, 7) ? month(day) : "\u00a0",
      ),
    ),
    make("th", { scope: "col" }, interval === "1d" ? "missing" : "there"),
  );
  const body = shown.map((row) =>
    make(
      "tr",
      {},
      make(
        "th",
        { scope: "row" },
        pageLink("ticker", { market, symbol: row.ticker, interval: spelled(interval) }, row.ticker),
      ),
      row.cells.map((each) => cell(row.ticker, each)),
      make(
        "td",
        { class: "n" },
        interval === "1d"
          ? count(row.missing)
          : row.total
            ? `${Math.floor((100 * (row.total - row.missing)) / row.total)} %`
            : "–",
      ),
    ),
  );
  show(
    "cover",
    make(
      "div",
      {
        class: "scroll tall",
        tabindex: "0",
        role: "region",
        "aria-label": "Coverage by ticker and session",
        id: "heat",
      },
      make("table", { class: "heat" }, make("thead", {}, head), make("tbody", {}, body)),
    ),
    found.length > shown.length &&
      make(
        "p",
        {},
        `${shown.length} of ${plural(found.length, "ticker")}. `,
        make("button", { type: "button", onclick: () => draw(true) }, "Show all"),
      ),
  );
}

const month = (day) => new Date(`${day}T00:00:00Z`).toLocaleDateString("en", { month: "short", timeZone: "UTC" });

function cell(ticker, each) {
  const { market, interval } = drawn;
  if (each.kind === "before")
    return make("td", { class: "none", title: `${ticker} ${each.day}: before its first bar` }, "·");
  const say =
    `${ticker} ${each.day}: ${count(each.has)} of ${plural(each.expected, "bar")}` +
    (each.gap ? `, ${each.gap.reason}${each.gap.detail ? ` (${each.gap.detail})` : ""}` : "") +
    (each.refused ? ", a row was refused" : "");
  const text = each.gap
    ? (REASONS[each.gap.reason] ?? "?")
    : !each.has
      ? "✕"
      : each.refused
        ? "!"
        : interval === "1d" || each.ratio >= 0.995
          ? "■"
          : String(Math.floor(100 * each.ratio));
  const quiet = each.gap && ["holiday", "not listed", "delisted", "halted"].includes(each.gap.reason);
  const kind = quiet ? "hx" : shade(each.ratio);
  const plain = each.has && !each.refused;
  return make(
    "td",
    { class: kind, title: say, "aria-label": say },
    plain
      ? text === "■"
        ? ""
        : text
      : pageLink("ticker", { market, symbol: ticker, interval: spelled(interval), at: each.day }, text, {
          "aria-label": `${say}. Show it.`,
        }),
  );
}

const SHADES = [
  [0.995, "h5"],
  [0.95, "h4"],
  [0.8, "h3"],
  [0.5, "h2"],
  [1e-9, "h1"],
];
const shade = (ratio) => SHADES.find(([least]) => ratio >= least)?.[1] ?? "h0";

function legend(interval) {
  const item = (kind, sign, text) => make("span", {}, make("i", { class: kind }, sign), text);
  const part =
    interval === "1d" ? [] : [item("h4", "97", "percent of a full session’s bars"), item("h2", "60", "half or more")];
  return [
    item("h5", "\u00a0", "complete"),
    ...part,
    item("h0", "✕", drawn.more ? "no bar; its reason is beyond the 5 000 newest gaps" : "no bar, not classified yet"),
    item("h0", "F", "fetch failed"),
    item("h0", "P", "provider empty"),
    item("h0", "?", "reason unknown"),
    item("h5", "!", "a row was refused"),
    item("hx", "T", "explained: T halted, H holiday, N not listed, D delisted"),
    item("none", "·", "before the first bar"),
  ];
}
