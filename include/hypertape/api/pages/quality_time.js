// Quality over time: of all markets or one.

import {
  ask,
  asOf,
  choose,
  count,
  empty,
  filling,
  headlineOf,
  instant,
  make,
  ofChecks,
  pageLink,
  pill,
  placesOf,
  remember,
  show,
  spelled,
  startLink,
  synthetic,
  table,
} from "./common.js";
import { check, newest } from "./checks.js";
import { findings } from "./findings.js";
import { runLink } from "./runs.js";

/** Fill the page with what fails now, the trend and who needs attention; `asked` may have market, days and dag_id. */
export async function overTime(asked) {
  const dag = /^(?:bars|heal_gaps)_([a-z0-9]+)_(?:1d|1h|1m)$/.exec(asked.dag_id ?? "");
  const mode = asked.market ?? dag?.[1] ?? "all";
  const days = asked.days ?? 90;
  const [found, state, wrong] = await Promise.all([
    ask("quality/trend", { mode, days }),
    ask("overview"),
    ask("findings", { mode }),
  ]);
  asOf(found.now);
  const held = state.markets.filter((market) => market.intervals.length);
  show("banner", synthetic(placesOf(held.filter((market) => mode === "all" || market.market === mode))));
  if (!found.latest.length && !found.trend.length) {
    show("verdict");
    show(
      "body",
      controls(asked, state, mode, days),
      empty(
        "Nothing has been checked yet.",
        "Every run of a bars DAG is checked; see ",
        pageLink("markets", {}, "Markets"),
        " for how to start one, or run ",
        make("code", {}, "hypertape validate"),
        ".",
      ),
    );
    return;
  }
  show("verdict", headlineOf(wrong.headline));
  const failing = await Promise.all(
    found.latest
      .filter((run) => run.critical + run.warnings + run.broken > 0)
      .map(async (run) => {
        const { results } = await ask("quality", {
          run_id: run.run_id,
          mode: run.market,
          interval: spelled(run.interval),
          limit: 500,
        });
        return newest(results, (row) =>
          [row.suite, row.expectation, row.target, row.window_start, row.window_end].join("|"),
        ).filter((row) => row.status === "failed" || row.error);
      }),
  );
  const rank = (row) => (row.status === "failed" && row.severity === "critical" ? 0 : row.error ? 1 : 2);
  const checks = failing.flat().sort((a, b) => rank(a) - rank(b));
  show(
    "body",
    controls(asked, state, mode, days),
    make("h2", {}, "Findings", make("small", {}, "what is wrong now, one line per cause")),
    make("div", { id: "findings" }),
    make("h2", {}, "Failed expectations", make("small", {}, "in the newest checked run of each market and interval")),
    checks.length ? checks.map(check) : make("p", { class: "soft" }, "None."),
    make("h2", {}, "Newest checked runs"),
    latest(found.latest),
    make("h2", {}, "Trend", make("small", {}, `by UTC day, ${found.since.slice(0, 10)} to ${found.now.slice(0, 10)}`)),
    trends(found),
    make(
      "h2",
      {},
      "Needs attention",
      make("small", {}, "tickers with failed loads, refused rows, or named by a failed check"),
    ),
    offenders(found.offenders),
  );
  await filling("findings", () => findings("findings", { mode }, wrong));
}

function controls(asked, state, mode, days) {
  const go = () => {
    const { market, days: span } = form.elements;
    delete asked.dag_id;
    Object.assign(asked, { market: market.value, days: span.value });
    remember({ market: market.value, days: span.value });
    filling("body", () => overTime(asked));
  };
  const form = make(
    "form",
    { class: "controls", onsubmit: (event) => event.preventDefault() },
    choose(
      "Market",
      "market",
      [["all", "all markets"], ...state.markets.map((each) => [each.market, each.title])],
      mode,
      go,
    ),
    choose(
      "Time",
      "days",
      [7, 30, 90, 365].map((each) => [each, `last ${each} days`]),
      days,
      go,
    ),
  );
  return form;
}

const latest = (runs) =>
  table(
    "Newest checked runs",
    [
      { label: "Series", kind: "h" },
      { label: "Result" },
      { label: "Checks", kind: "n" },
      { label: "Checked (UTC)", kind: "t" },
      { label: "Run" },
      { label: "Details" },
    ],
    runs.map((run) => {
      const [level, text] = ofChecks(run);
      return [
        `${run.market} ${spelled(run.interval)}`,
        pill(level, text),
        count(run.checks),
        instant(run.checked_at.slice(0, 19)),
        runLink(run.run_id),
        pageLink("quality", { ledger_run: run.run_id }, "all results"),
      ];
    }),
  );

const LINES = [
  ["critical", "bad", "critical"],
  ["warnings", "note", "warnings"],
  ["quarantined", "held", "refused rows"],
];

function trends(found) {
  const places = [...new Set(found.trend.map((row) => `${row.market} ${row.interval}`))];
  if (!places.length) return make("p", { class: "soft" }, "No checks and no refused rows in this time.");
  const days = daysBetween(found.since.slice(0, 10), found.now.slice(0, 10));
  const cards = places.map((place) => {
    const rows = new Map(
      found.trend.filter((row) => `${row.market} ${row.interval}` === place).map((row) => [row.day, row]),
    );
    const [market, interval] = place.split(" ");
    return make(
      "div",
      { class: "card" },
      make("h2", {}, `${market} ${spelled(interval)}`),
      LINES.map(([name, kind, label]) => {
        const counts = days.map((day) => Number(rows.get(day)?.[name] ?? 0));
        const total = counts.reduce((sum, each) => sum + each, 0);
        return make(
          "div",
          { class: "line" },
          make("span", {}, make("b", {}, count(total)), " ", label),
          spark(counts, days, kind, `${place}, ${label} by day: ${total} in all`),
        );
      }),
    );
  });
  const rows = [...found.trend]
    .reverse()
    .map((row) => [
      row.day,
      `${row.market} ${spelled(row.interval)}`,
      count(row.checks),
      count(row.critical),
      count(row.warnings),
      count(row.broken),
      count(row.quarantined),
    ]);
  return [
    make("div", { class: "trend" }, cards),
    make(
      "details",
      {},
      make("summary", {}, "The trend as a table"),
      table(
        "Trend",
        [
          { label: "Day (UTC)", kind: "h" },
          { label: "Series" },
          { label: "Checks", kind: "n" },
          { label: "Critical", kind: "n" },
          { label: "Warnings", kind: "n" },
          { label: "Not run", kind: "n" },
          { label: "Refused rows", kind: "n" },
        ],
        rows,
        { tall: true },
      ),
    ),
  ];
}

function daysBetween(first, last) {
  const days = [];
  for (let day = Date.parse(first); day <= Date.parse(last); day += 86400000)
    days.push(new Date(day).toISOString().slice(0, 10));
  return days;
}

function spark(counts, days, kind, label) {
  const name = "http://www.w3.org/2000/svg";
  const draw = (tag, properties, text) => {
    const element = document.createElementNS(name, tag);
    for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
    if (text) element.append(Object.assign(document.createElementNS(name, "title"), { textContent: text }));
    return element;
  };
  const width = days.length * 4,
    high = 40,
    most = Math.max(1, ...counts);
  const svg = draw(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${high + 2}`, preserveAspectRatio: "none", role: "img" },
    label,
  );
  svg.append(draw("line", { x1: 0, x2: width, y1: high + 0.5, y2: high + 0.5 }));
  counts.forEach((value, position) => {
    const tall = value ? Math.max(3, (high * value) / most) : 0;
    if (tall)
      svg.append(
        draw(
          "rect",
          { class: kind, x: position * 4, y: high - tall, width: 3, height: tall },
          `${days[position]}: ${value}`,
        ),
      );
  });
  return svg;
}

function offenders(rows) {
  if (!rows.length) return make("p", { class: "soft" }, "No ticker stands out.");
  const columns = [
    { label: "Ticker", kind: "h" },
    { label: "Series" },
    { label: "Failed loads", kind: "n" },
    { label: "Refused rows", kind: "n" },
    { label: "Named by", kind: "w" },
    { label: "Go to" },
  ];
  return table(
    "Needs attention",
    columns,
    rows.map((row) => [
      pageLink("ticker", { market: row.market, symbol: row.ticker, interval: spelled(row.interval) }, row.ticker),
      `${row.market} ${spelled(row.interval)}`,
      count(row.failed_loads),
      count(row.quarantined),
      row.named_by.join(", ") || "–",
      startLink(
        "backfill_bars",
        {
          market: row.market,
          interval: row.interval,
          tickers: row.ticker,
          mode: "overwrite",
          reason: "from the Quality page",
        },
        "backfill",
      ),
    ]),
    { tall: true },
  );
}
