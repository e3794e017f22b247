"""The Python stack's side of `cargo xtask bench-forest`: one case a process, one timing a request.

    python3 forest_peer.py '{"task": "forest", "peer": "scikit-learn", "rows": 55773, "columns": 10, "threads": 2}'

The case comes as JSON; after two warm-up rounds the script prints one JSON line {"ready": ..., "version": ...}, then for every
line on standard input one JSON line {"seconds": of a round, "peak_kib": VmHWM so far}. It ends with its input.

Tasks: `forest` (200 trees of 256 rows grown and all rows scored, by `scikit-learn` or `isotree`), `ranking` (100 rounds of LightGBM
with the parameters of the paper's feature ranking).
"""
import json
import platform
import sys
import time
from importlib.metadata import version

CASE = json.loads(sys.argv[1])
PACKAGES = {"scikit-learn": "sklearn", "isotree": "isotree", "LightGBM": "lightgbm"}

try:
    import numpy as np

    library = __import__(PACKAGES[CASE["peer"]], fromlist=["*"])
    if CASE["peer"] == "scikit-learn":
        from sklearn.ensemble import IsolationForest
except ImportError as error:
    sys.exit(f"{error}: run `{sys.executable} -m pip install scikit-learn isotree pandas lightgbm`, or name another interpreter with --python")

DATA = np.random.default_rng(CASE["columns"]).standard_normal((CASE["rows"], CASE["columns"])).astype(np.float32)


def scikit_learn():
    forest = IsolationForest(n_estimators=200, max_samples="auto", random_state=0, n_jobs=CASE["threads"])
    return lambda: forest.fit(DATA).score_samples(DATA)


def isotree():
    rows = DATA.astype(np.float64)
    columns = np.asfortranarray(rows)  # column order grows faster, row order scores faster

    def work():
        forest = library.IsolationForest(
            ndim=1, ntrees=200, sample_size=256, max_depth="auto", missing_action="fail", random_seed=1, nthreads=CASE["threads"]
        )
        return forest.fit(columns).predict(rows)

    return work


def ranking():
    labels = (DATA[:, :15].sum(axis=1) > 4.0).astype(int)
    parameters = dict(objective="binary", max_depth=2, num_leaves=32, min_data_in_leaf=20, learning_rate=0.1, verbosity=-1,
                      num_threads=CASE["threads"])
    return lambda: library.train(parameters, library.Dataset(DATA, labels), num_boost_round=100)


def peak_kib():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


work = {"scikit-learn": scikit_learn, "isotree": isotree, "LightGBM": ranking}[CASE["peer"]]()
for _ in range(2):
    work()
name = f"{CASE['peer']} {version(CASE['peer'])}"
print(json.dumps({"ready": CASE["task"], "version": f"{name}, numpy {np.__version__}, Python {platform.python_version()}"}), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    work()
    print(json.dumps({"seconds": time.perf_counter() - start, "peak_kib": peak_kib()}), flush=True)
