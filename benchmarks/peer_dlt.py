"""dlt's `merge` of a Parquet file into PostgreSQL, in an environment of its own; prints seconds as JSON.

Arguments: DSN (a URI), a Parquet file of bars, a directory for dlt's own files. The same bars are merged twice: what a
first load and a re-run of unchanged data take, dlt's extraction, normalisation and load included, its imports not.
"""

import importlib
import json
import sys
import time

# By name: they are the peer's environment's, and no requirement of ours.
dlt = importlib.import_module("dlt")
parquet = importlib.import_module("pyarrow.parquet")


def main(dsn, file, place):
    bars = parquet.read_table(file)
    pipeline = dlt.pipeline(
        "bars", pipelines_dir=place, destination=dlt.destinations.postgres(dsn), dataset_name="dlt_bars"
    )
    taken = []
    for _ in range(2):
        resource = dlt.resource(
            [bars], name="bars", primary_key=("ticker", "time"), write_disposition="merge"
        )
        started = time.perf_counter()
        pipeline.run(resource, loader_file_format="csv")
        taken.append(time.perf_counter() - started)
    with pipeline.sql_client() as client:
        stored = client.execute_sql("select count(*) from bars")[0][0]
    assert stored == len(bars), (stored, len(bars))
    print(json.dumps({"version": dlt.__version__, "first": taken[0], "again": taken[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
