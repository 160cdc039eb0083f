"""What tasks import, imported once: Airflow's fork server loads this module, and every task is a fork of that.

A task is a process of its own. Measured, one that loads pandas takes 1.5 s to start and one that validates 6 s; a fork
of a process that has them takes neither. Tasks import inside their functions, so that parsing stays cheap; this module
is imported by no code of ours, only named in `[core] mp_forkserver_preload`.
"""

import hypertape.quality.checkpoint
import hypertape.sources.ccxt
import hypertape.sources.csv_tree
import hypertape.sources.sample
import hypertape.sources.vci
import hypertape.sources.yahoo
import hypertape.steps.after_load
import hypertape.steps.checks
import hypertape.steps.plan
import hypertape.steps.restate
import hypertape.steps.run_batch  # noqa: F401
