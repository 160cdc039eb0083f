"""What Great Expectations imports for expectations that no rule uses stays out, and is there when somebody asks."""

import subprocess
import sys

_PROGRAM = """
import sys
import hypertape.quality.checkpoint
unused = {"altair", "boto3", "botocore", "scipy.stats"} & set(sys.modules)
assert not unused, unused
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as theirs
assert theirs.stats.entropy([0.5, 0.5]) > 0.69
assert theirs.alt.Chart.__module__.startswith("altair.")
import boto3
from scipy import stats
assert stats is sys.modules["scipy.stats"] and stats.entropy and boto3.client
print("done")
"""


def test_unused_modules_are_imported_only_when_something_reads_from_them():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")
