// A check's result as the Quality page shows it.

import { count, instant, make, number, pageLink, percent, pill, spelled } from "./common.js";

/** The newest of the rows that are alike; rows come with the newest first. */
export function newest(rows, keyOf) {
  const seen = new Set();
  return rows.filter((row) => {
    const key = keyOf(row);
    return !seen.has(key) && seen.add(key);
  });
}

/** One result: its sign, name and counts, and the keys that offend, each leading to its ticker. */
export function check(row) {
  const failing = row.status === "failed";
  const sign = !failing
    ? pill("unknown", "did not run")
    : row.severity === "critical"
      ? pill("bad", "critical")
      : pill("note", "warning");
  const unexpected = row.unexpected ?? 0;
  return make(
    "article",
    { class: "check" },
    make(
      "div",
      {},
      sign,
      make("span", { class: "name" }, row.expectation),
      make(
        "span",
        { class: "soft mono" },
        [row.market, spelled(row.interval), row.suite, row.target].filter(Boolean).join(" · "),
      ),
      make(
        "span",
        { class: "figures" },
        `${count(unexpected)} of ${count(row.evaluated)}${unexpected ? ` (${percent(row.unexpected_percent)})` : ""} · ${row.seconds.toFixed(2)} s`,
      ),
    ),
    make("p", {}, `${row.description}.`),
    row.error && make("p", { class: "bad" }, row.error),
    row.sample.length
      ? make(
          "ul",
          { class: "keys", "aria-label": "Offending keys" },
          row.sample.map((key) => offending(row, key)),
        )
      : null,
    unexpected > row.sample.length ? make("p", {}, `${count(unexpected - row.sample.length)} more.`) : null,
  );
}

function offending(row, { ticker, time, ...why }) {
  const place = ticker
    ? pageLink(
        "ticker",
        { market: row.market, symbol: ticker, interval: spelled(row.interval), at: time?.slice(0, 10) },
        `${ticker}${time ? ` · ${instant(time, true)}` : ""}`,
      )
    : time
      ? instant(time, true)
      : "no ticker";
  const text = Object.entries(why)
    .map(
      ([name, value]) =>
        `${name} ${typeof value === "number" ? number(value) : typeof value === "string" ? value : JSON.stringify(value)}`,
    )
    .join(", ");
  return make("li", {}, make("span", { class: "at" }, place), make("span", { class: "why" }, text));
}
