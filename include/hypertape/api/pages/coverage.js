// The coverage map of the Markets page: a row per ticker, a column per session, and the reason of every hole.

import { afterAPause, ask, byId, choose, count, empty, filling, make, pageLink, plural, show, spelled } from "./common.js";
import { count as counts, countMore } from "./counts.js";

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

let state = null;
let drawn = null;
let turn = 0;

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
      () => (drawn?.partial ? again() : drawn && draw()),
    ),
    make(
      "label",
      {},
      "Ticker contains",
      make("input", { name: "like", type: "search", size: "12", oninput: filtered(again) }),
    ),
  );
  form.onsubmit = (event) => event.preventDefault();
  filling("cover", cover);
}

/** What the filter's field does: the server looks where not every ticker was counted, else the rows are at hand. */
function filtered(again) {
  const later = afterAPause(again);
  return () => (drawn?.partial ? later() : drawn && draw());
}

async function cover() {
  const mine = ++turn;
  const { place, sessions, order, like } = byId("cover-form").elements;
  const [market, interval] = place.value.split(" ");
  const contains = like.value.trim();
  const asked = { state, market, interval, sessions: Number(sessions.value), order: order.value, contains };
  const view = await counts(asked, drawn);
  if (mine !== turn) return;
  drawn = view;
  draw();
}

async function more() {
  await countMore(drawn, byId("cover-form").elements.like.value.trim());
  draw(true);
}

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
    drawn.partial && counted(found.length),
  );
}

/** Which tickers are counted of a market that is too large for all of them, and the way to the others. */
function counted(rows) {
  const { entry, said, held } = drawn;
  return make(
    "p",
    { class: "soft", id: "cover-part" },
    `${count(rows)} of ${plural(entry.tickers, "ticker")} are counted${said ? `: ${said}` : ""}. Filter by name to find others. `,
    held.next && make("button", { type: "button", onclick: () => filling("cover", more) }, "Count more"),
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
    (each.refused ? ", a row was refused" : "") +
    (each.told ? `; ${each.told.condition}: ${each.told.reasons.join("; ")}` : "");
  const degraded = each.refused || each.told?.condition === "degraded";
  const text = each.gap
    ? (REASONS[each.gap.reason] ?? "?")
    : !each.has
      ? each.told?.condition === "pending"
        ? "…"
        : "✕"
      : degraded
        ? "!"
        : interval === "1d" || each.ratio >= 0.995
          ? "■"
          : String(Math.floor(100 * each.ratio));
  const quiet = each.gap && ["holiday", "not listed", "delisted", "halted"].includes(each.gap.reason);
  const kind = quiet || (!each.has && each.told?.condition === "pending") ? "hx" : shade(each.ratio);
  const plain = each.has && !degraded;
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
    item("h5", "!", "degraded: a row was refused, a bar flagged, or a check failed"),
    item("hx", "…", "pending: may still come"),
    item("hx", "T", "explained: T halted, H holiday, N not listed, D delisted"),
    item("none", "·", "before the first bar"),
  ];
}
