"""No DAG: Airflow shows here, as the import error of this file, which files of the user's project cannot be used.

Each leaves out what it would add; the DAGs of all other markets are there.
"""

from hypertape.errors import BadProject
from hypertape.project import find_project

if (project := find_project()) is not None:
    from hypertape.steps.project import problems

    if wrong := problems():
        raise BadProject("\n".join(map(str, wrong)), next_step="")
