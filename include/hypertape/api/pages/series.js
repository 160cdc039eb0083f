// The series that the Ticker page shows, and what its times mean.

import { instant } from "./common.js";

export const INTERVALS = ["1m", "5m", "15m", "30m", "1H", "4h", "1D", "1W", "2W", "1M"];
export const BASE = {
  "1m": "1m",
  "5m": "1m",
  "15m": "1m",
  "30m": "1m",
  "1H": "1H",
  "4h": "1H",
  "1D": "1D",
  "1W": "1D",
  "2W": "1D",
  "1M": "1D",
};
export const RELATION = { "1m": "1m", "1H": "1h", "1D": "1d" };
export const DAY = 86400000;

/** What was chosen in the form, its bars (oldest first), its market as /overview describes it, and the server's time. */
export const shown = { chosen: null, bars: [], of: null, now: null };

export const daily = () => ["1D", "1W", "2W", "1M"].includes(shown.chosen.interval);
export const seconds = (text) =>
  Date.parse(text.length === 10 ? text : /Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`) / 1000;
export const timeOf = (bar) => (daily() ? bar.time : seconds(bar.time));
export const keyOf = (time) =>
  typeof time === "object"
    ? [time.year, String(time.month).padStart(2, "0"), String(time.day).padStart(2, "0")].join("-")
    : time;

/** The bar that holds an instant (seconds since 1970): the last one that opens at it or before; -1 before the first. */
export function at(instantOf) {
  let low = 0,
    high = shown.bars.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (seconds(shown.bars[middle].time) <= instantOf) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export const span = (first, last) =>
  first === last ? instant(first, true) : `${instant(first, true)} to ${instant(last, true)}`;

/** The date after the one in which a half-open time ends. */
export const nextDay = (text) =>
  new Date(Date.parse(text.slice(0, 10)) + (text.slice(11, 19) === "00:00:00" ? 0 : DAY)).toISOString().slice(0, 10);
