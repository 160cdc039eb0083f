"""Exit 0 when the API server says that the component named on the command line is healthy; after `--answers`, when a
server answers at the address named, be it that a key is missing.

`airflow jobs check` answers the same question at the price of a 4 s import for each probe. Components: metadatabase,
scheduler, triggerer, dag_processor.
"""

import json
import os
import sys
from urllib.error import HTTPError
from urllib.request import urlopen


def is_healthy(component: str, base_url: str) -> bool:
    """Ask `/api/v2/monitor/health`; a component that was never seen has no status and is not healthy."""
    with urlopen(f"{base_url}/api/v2/monitor/health", timeout=5) as answer:
        states = json.load(answer)
    return (states.get(component) or {}).get("status") == "healthy"


def answers(url: str) -> bool:
    """True for any answer that is no error of the server's own."""
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status < 500)
    except HTTPError as error:
        return error.code < 500


if __name__ == "__main__":
    if sys.argv[1] == "--answers":
        sys.exit(not answers(sys.argv[2]))
    sys.exit(not is_healthy(sys.argv[1], os.environ.get("HEALTH_URL", "http://api-server:8080")))
