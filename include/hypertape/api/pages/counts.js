// What the coverage map shows: bars of each ticker by session, with the reason of every hole. A market that is too large
// to be counted at a time is counted in parts: the tickers of the filter, or those with the most gaps.

import { ask, spelled } from "./common.js";

const LIVE_SESSIONS = 10;
const MOST_TICKERS = 5000;
const MOST_NAMED = 500;
const MOST_GAPS = 5000;
const DAY = 86400000;

/**
 * Count the sessions of a market and interval, as far as that goes at a time. `before` is what this returned last, if
 * it did: it knows that the market is too large. `partial` of the result is true when there are tickers that are not
 * in `rows`; `said` then tells which are.
 */
export async function count({ state, market, interval, sessions, order, contains }, before) {
  const view = begun(state, market, interval, sessions);
  const known = before?.partial && ["market", "interval", "sessions"].every((name) => before[name] === view[name]);
  const whole = known ? null : await ask("coverage", { ...view.window, limit: MOST_TICKERS });
  view.partial = known || Boolean(whole.next);
  view.fits = known ? before.fits : Math.min(MOST_NAMED, Object.keys(whole.tickers).length);
  await take(view, view.partial ? await some(view, order, contains) : whole);
  return view;
}

/** Count the tickers that follow in the order of their names. */
export async function countMore(view, contains) {
  await take(view, await ask("coverage", { ...view.window, limit: view.fits, contains, after: view.held.next }));
}

function begun(state, market, interval, sessions) {
  const of = state.markets.find((each) => each.market === market);
  const entry = of.intervals.find((each) => each.interval === interval);
  const live = entry.behind <= LIVE_SESSIONS;
  const end = (live ? state.now : entry.last_time).slice(0, 10);
  const days = Math.min(100, Math.ceil(sessions * (of.market === "crypto" ? 1 : 1.5)) + 8);
  const start = new Date(Date.parse(end) - (days - 1) * DAY).toISOString().slice(0, 10);
  const series = { mode: market, interval: spelled(interval) };
  const window = { ...series, by: "day", start_date: start, end_date: end };
  return { market, interval, sessions, of, entry, live, end, series, window, rows: [], more: false };
}

async function some(view, order, contains) {
  view.said = contains ? null : "the first by name";
  if (order === "worst" && !contains) {
    const { gaps } = await ask("gaps", { ...view.series, limit: MOST_GAPS });
    const symbol = worst(gaps, view);
    if (symbol.length) {
      view.said = "those with the most in the gap ledger";
      return ask("coverage", { ...view.window, symbol, limit: symbol.length });
    }
  }
  return ask("coverage", { ...view.window, limit: view.fits, contains });
}

function worst(gaps, { window, fits }) {
  const missing = new Map();
  for (const gap of gaps)
    if (gap.end_time.slice(0, 10) >= window.start_date)
      missing.set(gap.ticker, (missing.get(gap.ticker) ?? 0) + gap.sessions);
  const sorted = [...missing].sort(([a, most], [b, other]) => other - most || (a < b ? -1 : 1));
  return sorted.slice(0, fits).map(([ticker]) => ticker);
}

/** Take up counted tickers, and what the ledgers say of their holes. */
async function take(view, held) {
  const symbol = view.partial ? Object.keys(held.tickers) : null;
  const asked = { ...view.series, symbol, limit: MOST_GAPS };
  const none = symbol && !symbol.length;
  const [gaps, refused, told] = none
    ? [{ gaps: [] }, { quarantine: [] }, new Map()]
    : await Promise.all([ask("gaps", asked), ask("quarantine", asked), conditions(view, symbol)]);
  const last = view.of.last_session?.date ?? view.end;
  view.held = held;
  view.due = held.expected
    .map((bars, position) => [bars, position])
    .filter(([bars, position]) => bars > 0 && held.buckets[position] <= last)
    .slice(-view.sessions);
  view.more ||= Boolean(gaps.next);
  for (const [ticker, each] of Object.entries(held.tickers))
    view.rows.push(line(view, ticker, each, gaps.gaps, refused.quarantine, told));
}

/** The sessions that are degraded or pending, by ticker and session; the bars say which are there. */
async function conditions({ window }, symbol) {
  const asked = { mode: window.mode, interval: window.interval, start_date: window.start_date, end_date: window.end_date };
  const answers = await Promise.all(
    ["degraded", "pending"].map((condition) => ask("condition", { ...asked, symbol, condition })),
  );
  return new Map(answers.flatMap((each) => each.conditions).map((each) => [`${each.ticker} ${each.session}`, each]));
}

function line({ held, due }, ticker, { first, bars }, gaps, refused, told) {
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
    return { day, has: bars[position], expected, ratio: has / expected, gap, refused: bad.has(day), told: told.get(`${ticker} ${day}`) };
  });
  return { ticker, cells, missing, total };
}

// A gap's end is its last session's close, or for daily bars the midnight after its last one.
const endDay = (gap) =>
  gap.end_time.slice(11, 19) === "00:00:00" ? gap.end_time.slice(0, 10) : `${gap.end_time.slice(0, 10)}~`;
