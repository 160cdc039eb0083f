// The condition of sessions, in the four words of GET /condition.

import { ask, make, pill, show, table } from "./common.js";
import { BASE, DAY, daily, shown } from "./series.js";

export const LEVEL = { available: "good", degraded: "note", pending: "unknown", missing: "bad" };
const MOST_DAYS = 100;

let known = new Map();

/** Say the conditions of the sessions of the shown bars, the newest of them, and of those that are due after them. */
export async function conditions(isOver) {
  const { market, symbol, interval, end } = shown.chosen;
  const last = end || new Date(shown.now).toISOString().slice(0, 10);
  const floor = new Date(Date.parse(last) - MOST_DAYS * DAY).toISOString().slice(0, 10);
  const first = shown.bars[0].time.slice(0, 10);
  const from = first > floor ? first : floor;
  const asked = { mode: market, symbol, interval: BASE[interval], start_date: from, end_date: last };
  const { conditions: found } = await ask("condition", asked);
  if (isOver()) return;
  known = new Map(found.map((each) => [each.session, each]));
  const rows = found.filter((each) => each.condition !== "available").reverse();
  const counts = Object.keys(LEVEL).map((word) => [word, found.filter((each) => each.condition === word).length]);
  show("condition-say", `of the sessions of ${BASE[interval]} from ${from} to ${last}`);
  show(
    "condition",
    make(
      "p",
      { class: "links", id: "condition-counts" },
      counts.map(([word, count]) => count > 0 && pill(LEVEL[word], `${count} ${word}`)),
      !found.length && make("span", { class: "soft" }, "No session lies in this time."),
    ),
    rows.length > 0 &&
      table(
        "Sessions that are not available",
        [{ label: "Session", kind: "h" }, { label: "Condition" }, { label: "Why", kind: "w" }],
        rows.map((each) => [each.session, pill(LEVEL[each.condition], each.condition), each.reasons.join("; ")]),
        { tall: true },
      ),
  );
}

/** The condition of the session that a bar opens in, as it was told last; null for a bar of several sessions. */
export const conditionOf = (bar) =>
  daily() && shown.chosen.interval !== "1D" ? null : (known.get(bar.time.slice(0, 10)) ?? null);

/** A word with its mark and reasons. */
export const word = ({ condition, reasons }) => pill(LEVEL[condition], condition, reasons.join("; "));

/** Forget what was told of another series. */
export const forget = () => (known = new Map());
