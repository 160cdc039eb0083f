// What every page needs: asking the API, building elements (text only, never markup), links, numbers, times.

const API = new URL("../../", import.meta.url);
const AIRFLOW = new URL("../", API);
const PAGES = { markets: "Markets", ticker: "Ticker", quality: "Quality", stream: "Stream" };

export const MARKS = { good: "✓", note: "!", bad: "✕", unknown: "?" };

/** An answer that is not the one asked for; `next` says what to do. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
    this.next =
      status === 401
        ? "Log in to Airflow again, then reload this page."
        : status === 403
          ? "Ask who administers Airflow for the right to it: assets are what is read, asset events what is written."
          : status === 0
            ? "Check that Airflow’s API server runs, then try again."
            : status === 503
              ? "Try again in a moment. If it stays so: hypertape doctor."
              : status >= 500
                ? "See the API server’s log."
                : "";
  }
}

/** Ask the API for JSON. Parameters that are null, undefined or empty are left out; arrays repeat. */
export const ask = (path, parameters = {}) => askAt(new URL(path, API), parameters);

/** Ask the API to change something, with the reader's own login. */
export const tell = (path, parameters = {}) => askAt(new URL(path, API), parameters, { method: "POST" });

/** Ask Airflow's own API, as the same user. */
export const askAirflow = (path, parameters = {}, options = {}) =>
  askAt(new URL(`api/v2/${path}`, AIRFLOW), parameters, options);

async function askAt(url, parameters, options = {}) {
  url.search = query(parameters);
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused(0, "The server cannot be reached.");
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, told(body) ?? `The server answered ${answer.status}.`);
  return body;
}

function told(body) {
  const detail = body?.error ?? body?.detail;
  return typeof detail === "string" ? detail : detail === undefined ? null : JSON.stringify(detail);
}

/** `a=1&b=x&b=y`; a plus sign is written %2B, because times have some. */
export function query(parameters) {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
  return pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");
}

/** The page's own parameters. A bare plus sign stays one: run ids have some, and none has a space. */
export function parameters() {
  const found = new URLSearchParams(location.search.replaceAll("+", "%2B"));
  return Object.fromEntries(found);
}

/** Put parameters into the page's address without loading it anew. */
export function remember(values) {
  const search = query(values);
  history.replaceState(null, "", search ? `?${search}` : location.pathname);
}

/** An element with properties, listeners (`onclick`), data and children. Strings become text, never markup. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);
export const show = (id, ...content) => byId(id).replaceChildren(...content.flat(3).filter(Boolean));

/** A link into Airflow. A page in Airflow's frame may not steer the window itself, so the window's own document does. */
export const airflowLink = (path, text, properties = {}) => leaving(airflowAddress(path), text, properties);

export const airflowAddress = (path) => new URL(path, AIRFLOW).href;

export function leaving(href, text, properties = {}) {
  return make("a", { ...properties, href, target: "_top", onclick: leave }, text);
}

function leave(event) {
  if (window.parent === window) return;
  const outside = window.parent.document;
  const anchor = outside.createElement("a");
  anchor.href = event.currentTarget.href;
  const elsewhere = new URL(anchor.href).origin !== location.origin;
  if (elsewhere || event.ctrlKey || event.metaKey || event.shiftKey) {
    anchor.target = "_blank";
    anchor.rel = "noopener noreferrer";
  }
  event.preventDefault();
  outside.body.append(anchor);
  anchor.click();
  anchor.remove();
}

/** A link to another of these pages, in the same frame. */
export const pageLink = (page, values, text, properties = {}) => {
  const search = query(values);
  return make("a", { ...properties, href: search ? `${page}?${search}` : page }, text);
};

export const dagPath = (dag) => `dags/${encodeURIComponent(dag)}`;

export const dagOf = (market, interval) => `bars_${market}_${interval}`;

const SPELLINGS = { "1d": "1D", "1h": "1H", "1m": "1m" };
export const spelled = (interval) => SPELLINGS[interval] ?? interval;

/** 12 345 with thin spaces. */
export const count = (value) =>
  value === null || value === undefined
    ? "–"
    : Math.round(value)
        .toString()
        .replace(/\B(?=(\d{3})+(?!\d))/g, " ");

/** A price or volume, as many digits as it has, twelve at most. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const [whole, part] = String(Number(value.toPrecision(12))).split(".");
  if (whole.includes("e")) return whole;
  return whole.replace(/\B(?=(\d{3})+(?!\d))/g, " ") + (part ? `.${part}` : "");
}

export const percent = (value) =>
  value === null || value === undefined ? "–" : value > 0 && value < 0.01 ? "< 0.01 %" : `${value.toFixed(2)} %`;

/** 2026-11-20 21:30, UTC; midnight is the date alone when `dates` is set. */
export function instant(text, dates = false) {
  if (!text) return "–";
  const iso = /[Z+]|-\d\d:\d\d$/.test(text.slice(10)) ? new Date(text).toISOString() : text;
  const [date, time = ""] = iso.replace(/\.\d+/, "").replace("Z", "").split("T");
  const clock = time.endsWith(":00") ? time.slice(0, 5) : time;
  return !clock || (dates && clock === "00:00") ? date : `${date} ${clock}`;
}

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

export const pill = (level, text, title) =>
  make("span", { class: `pill ${level}`, title }, make("span", { "aria-hidden": "true" }, MARKS[level]), text);

export const verdict = (level, text, ...because) =>
  make(
    "section",
    { class: `verdict ${level}`, "aria-label": "Verdict" },
    make("span", { class: "mark", "aria-hidden": "true" }, MARKS[level]),
    make(
      "div",
      {},
      make("strong", {}, text),
      because.filter(Boolean).map((each) => make("p", {}, each)),
    ),
  );

/** The headline of the findings, in the words of every other place that says it. */
export const headlineOf = ({ level, text, because }) => verdict(level, text, ...because.slice(0, 5));

/** What a checked run's counts amount to. */
export function ofChecks(run) {
  if (!run || !run.checks) return ["unknown", "never checked"];
  if (run.critical) return ["bad", `${run.critical} critical`];
  if (run.broken) return ["unknown", plural(run.broken, "rule did", "rules did") + " not run"];
  if (run.warnings) return ["note", plural(run.warnings, "warning")];
  // what is neither passed nor failed says nothing of the bars: it is named, and what is left decides
  const rest = run.checks - run.passed;
  const named = rest ? `${rest} ${run.others.map((each) => each.replaceAll("_", " ")).join(" or ")}` : "";
  if (!run.passed) return ["unknown", named];
  return ["good", rest ? `${run.passed} passed, ${named}` : `all ${run.checks} passed`];
}

/**
 * A table in a frame that scrolls. Columns are `{label, kind, title}`; kind n: number, right-aligned; t: time;
 * w: long text; h: the row's heading.
 */
export function table(name, columns, rows, { tall = false, id = null } = {}) {
  const head = columns.map(({ label, kind, title }) =>
    make("th", { scope: "col", class: kind === "n" ? "n" : null, title }, label),
  );
  const body = rows.map((row) =>
    make(
      "tr",
      {},
      row.map((cell, position) => {
        const { kind } = columns[position];
        const empty = kind === "n" && (cell === "0" || cell === "–");
        const content = cell === null || cell === undefined ? "–" : cell;
        return kind === "h"
          ? make("th", { scope: "row" }, content)
          : make("td", { class: [kind, empty && "zero"].filter(Boolean).join(" ") || null }, content);
      }),
    ),
  );
  return make(
    "div",
    { class: tall ? "scroll tall" : "scroll", tabindex: "0", role: "region", "aria-label": name, id },
    make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)),
  );
}

/** Nothing to show, and what to do about it. */
export const empty = (what, ...next) => make("div", { class: "state" }, make("strong", {}, what), make("p", {}, next));

/** Something went wrong, and what to do about it. */
export const failed = (error, again) =>
  make(
    "div",
    { class: "state bad", role: "alert" },
    make("strong", {}, error.message || "Something went wrong."),
    make("p", {}, error instanceof Refused ? error.next : "Reload the page; if it stays so, tell who runs hypertape."),
    again && make("p", {}, make("button", { type: "button", onclick: again }, "Try again")),
  );

/** Run `work` while a part of the page is marked busy; show what goes wrong there. */
export async function filling(id, work) {
  const place = byId(id);
  place.setAttribute("aria-busy", "true");
  if (!place.hasChildNodes()) place.append(make("p", { class: "soft waiting" }, "Loading …"));
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    show(
      id,
      failed(error, () => filling(id, work)),
    );
  } finally {
    place.querySelector(".waiting")?.remove();
    place.removeAttribute("aria-busy");
  }
}

/** Which series are made up: `places` are `{ place, tickers, synthetic_tickers, synthetic_named }`. Null when none is. */
export function synthetic(places) {
  const some = places.filter((each) => each.synthetic_tickers);
  if (!some.length) return null;
  const which = some.map(({ place, tickers, synthetic_tickers: made, synthetic_named: names }) =>
    made === tickers
      ? `${place}: ${tickers === 1 ? names[0] : `all ${plural(tickers, "ticker")}`}`
      : `${place}: ${count(made)} of ${plural(tickers, "ticker")} (${names.join(", ")}${made > names.length ? ", …" : ""})`,
  );
  const others = places.some((each) => each.tickers > (each.synthetic_tickers ?? 0));
  return make(
    "div",
    { class: "banner", role: "note" },
    "SYNTHETIC SAMPLE DATA",
    make(
      "span",
      {},
      ` · ${which.join("; ")} · made by a seeded generator with planted defects; no real instrument, no real price.`,
      others ? " Every other series here has the bars of its source." : null,
    ),
  );
}

/** The places of an answer of /overview as `synthetic` takes them. */
export const placesOf = (markets) =>
  markets.flatMap(({ market, intervals }) =>
    intervals.map((entry) => ({ ...entry, place: `${market} ${spelled(entry.interval)}` })),
  );

/** A `select` with its label. Options are `[value, text]`. */
export function choose(label, name, options, value, onchange) {
  const field = make(
    "select",
    { name, onchange },
    options.map(([each, text]) => make("option", { value: each, selected: String(each) === String(value) }, text)),
  );
  return make("label", {}, label, field);
}

/** The link that opens the prefilled form of a DAG. */
export const startLink = (dag, values, text, properties) =>
  pageLink("run", { dag_id: dag, ...values }, text, properties);

/** The header's navigation, the theme that Airflow shows, and the time of the answer. */
export function begin() {
  const here = document.body.dataset.page;
  const keep = parameters();
  const kept = keep.market ? { market: keep.market } : {};
  show(
    "nav",
    Object.entries(PAGES).map(([page, text]) =>
      pageLink(page, kept, text, page === here ? { "aria-current": "page" } : {}),
    ),
  );
  followTheme();
}

export function asOf(text) {
  show(
    "asof",
    "as of ",
    make("time", { datetime: text }, `${instant(text.replace(/\.\d+/, ""))} UTC`),
    " · ",
    make("button", { type: "button", class: "plain", onclick: () => location.reload() }, "Reload"),
  );
}

/** Airflow has a switch of its own for dark and light; its window says which. Elsewhere the system's setting counts. */
function followTheme() {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themeChanged);
  if (window.parent === window) return;
  const outside = window.parent.document.documentElement;
  const follow = () => {
    const named = ["dark", "light"].find((each) => outside.classList.contains(each)) ?? outside.dataset.theme;
    if (!named || named === document.documentElement.dataset.theme) return;
    document.documentElement.dataset.theme = named;
    themeChanged();
  };
  follow();
  new MutationObserver(follow).observe(outside, { attributes: true, attributeFilter: ["class", "data-theme"] });
}

const themeChanged = () => document.dispatchEvent(new Event("theme"));

/** Do something when dark becomes light or the other way round: what is drawn keeps its colours until it is drawn anew. */
export const onTheme = (redraw) => document.addEventListener("theme", redraw);

/** The same function, called once the calls have ceased for a moment, as while somebody types. */
export function afterAPause(work, milliseconds = 250) {
  let waiting = null;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(work, milliseconds);
  };
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
