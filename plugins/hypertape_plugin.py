"""What hypertape adds to Airflow itself."""

from airflow.plugins_manager import AirflowPlugin

from hypertape.orchestration import pools, web
from hypertape.orchestration.views import VIEWS


class HypertapePlugin(AirflowPlugin):
    """Makes the pools of our DAGs where they are missing, and serves the read API and its pages at /hypertape."""

    name = "hypertape"
    listeners = [pools]  # noqa: RUF012  (Airflow's own declaration)
    fastapi_apps = [  # noqa: RUF012
        {"app": web.LazyApp(web.airflow_app), "url_prefix": web.PREFIX, "name": "hypertape"}
    ]
    external_views = VIEWS
