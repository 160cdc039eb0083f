// Quality: what the checks of one run said, or of all markets over time.

import { begin, filling, parameters } from "./common.js";
import { oneRun } from "./quality_run.js";
import { overTime } from "./quality_time.js";

const asked = parameters();

begin();
await filling("body", () => (asked.ledger_run || (asked.dag_id && asked.run_id) ? oneRun(asked) : overTime(asked)));
