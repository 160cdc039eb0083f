// Where a bar of the Ticker page came from, and the bars as a table.

import {
  ask,
  byId,
  count,
  filling,
  instant,
  make,
  number,
  pageLink,
  percent,
  pill,
  plural,
  show,
  startLink,
  table,
} from "./common.js";
import { conditionOf, word } from "./condition.js";
import { BASE, RELATION, daily, nextDay, shown, span } from "./series.js";
import { runLink } from "./runs.js";

const MOST_ROWS = 500;

/** What the place for the answer says before anything is asked. */
export const howToAsk = () =>
  show(
    "origin",
    make("h2", {}, "Where a bar came from"),
    make("p", { class: "soft" }, "Click a bar, or focus the chart, move with the arrow keys and press Enter."),
  );

/** Say which loads and runs a bar came with. */
export function origin(position) {
  const bar = shown.bars[position];
  return filling("origin", async () => {
    const { market, symbol, interval } = shown.chosen;
    const found = await ask("origin", { mode: market, symbol, interval, time: bar.time });
    const facts = ["open", "high", "low", "close", "volume"].flatMap((name) => [
      make("dt", {}, name),
      make("dd", {}, number(bar[name])),
    ]);
    const [day, session] = [bar.time.slice(0, 10), conditionOf(bar)];
    show(
      "origin",
      make("h2", {}, `Bar of ${instant(bar.time, true)}${daily() ? "" : " UTC"}`),
      bar.provisional && make("p", {}, pill("unknown", "provisional"), " It may still change."),
      make("dl", { class: "facts two" }, facts),
      session && make("h3", {}, "Its session is ", word(session)),
      session?.reasons.map((each) => make("p", { class: "soft" }, each)),
      make("h3", {}, found.loads.length === 1 ? "Loaded by" : `Made of bars from ${plural(found.total, "load")}`),
      found.loads.length
        ? found.loads.slice(0, 8).map(loadCard)
        : make("p", { class: "soft" }, "No load is on record: the bar is served by another store."),
      found.total > 8 && make("p", { class: "soft" }, `and ${plural(found.total - 8, "older load")}`),
      make(
        "p",
        {},
        startLink(
          "backfill_bars",
          {
            market,
            interval: RELATION[BASE[interval]],
            tickers: symbol,
            start: day,
            end: nextDay(`${found.end.slice(0, 10)}T${found.end.slice(11, 19)}`),
            mode: "overwrite",
            reason: `bar of ${day} on the Ticker page`,
          },
          "Load this time again …",
        ),
      ),
    );
  });
}

function loadCard(load) {
  const pair = (name, ...value) => [make("dt", {}, name), make("dd", {}, value)];
  return make(
    "dl",
    { class: "facts two" },
    pair("run", runLink(load.run_id)),
    pair("loaded, UTC", instant(load.loaded_at.slice(0, 19))),
    pair("source", load.source),
    pair("window", span(load.window_start, load.window_end)),
    pair("wrote of this", plural(load.bars, "bar")),
    load.reason && pair("reason", load.reason),
    pair("checks", pageLink("quality", { ledger_run: load.run_id }, "of the run")),
  );
}

/** The shown bars as a table, made when it is opened; `pick` puts the chart's cross on one. */
export function listBars(pick) {
  const names = ["open", "high", "low", "close", "volume"];
  const columns = [
    { label: daily() ? "Date" : "Opening, UTC", kind: "h" },
    ...names.map((name) => ({ label: name === "volume" ? name : `${name}, ${shown.of.price_unit}`, kind: "n" })),
    ...shown.chosen.averages.map((each) => ({ label: `ma${each}`, kind: "n" })),
    { label: "Change", kind: "n" },
    { label: "Came from" },
  ];
  const draw = () => {
    const newest = shown.bars
      .map((bar, position) => [bar, position])
      .slice(-MOST_ROWS)
      .reverse();
    const rows = newest.map(([bar, position]) => [
      bar.provisional ? [instant(bar.time, true), " ", make("span", { class: "unit" }, "provisional")] : instant(bar.time, true),
      ...names.map((name) => number(bar[name])),
      ...shown.chosen.averages.map((each) =>
        bar[`ma${each}`] === undefined ? "–" : number(Number(bar[`ma${each}`].toPrecision(9))),
      ),
      percent(bar.close_changed),
      make(
        "button",
        {
          type: "button",
          class: "plain",
          "aria-label": `Where the bar of ${instant(bar.time, true)} came from`,
          onclick: () => pick(position, true),
        },
        "show",
      ),
    ]);
    show(
      "table",
      make(
        "p",
        { class: "soft" },
        shown.bars.length > MOST_ROWS
          ? `The newest ${MOST_ROWS} of ${count(shown.bars.length)}; all of them: `
          : "As a file: ",
        make(
          "code",
          {},
          `GET /hypertape/tickers?symbol=${shown.chosen.symbol}&interval=${shown.chosen.interval}&mode=${shown.chosen.market}&format=csv`,
        ),
      ),
      table(`${shown.chosen.symbol} ${shown.chosen.interval} bars`, columns, rows, { tall: true }),
    );
  };
  byId("table-box").ontoggle = (event) => event.target.open && draw();
  if (byId("table-box").open) draw();
}
