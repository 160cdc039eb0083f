"""What hypertape adds to Airflow itself."""

from airflow.plugins_manager import AirflowPlugin

from hypertape.orchestration import pools


class HypertapePlugin(AirflowPlugin):
    """Makes the pools of our DAGs where they are missing."""

    name = "hypertape"
    listeners = [pools]  # noqa: RUF012  (Airflow's own declaration)
