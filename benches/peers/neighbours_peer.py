"""Processor seconds of scikit-learn's exact neighbours, the peer of `crates/neighbours/examples/neighbour_time.rs`.

Needs numpy and scikit-learn. Arguments: rows columns k repeats (20000 512 15 3 unless told). Threads: OMP_NUM_THREADS.
"""
import sys
import time

import numpy as np
from sklearn.neighbors import NearestNeighbors

rows, columns, k, repeats = [int(a) for a in sys.argv[1:]] + [20000, 512, 15, 3][len(sys.argv) - 1:]
rng = np.random.default_rng(1)
features = rng.uniform(-0.866, 0.866, (4, rows, columns)).sum(0).astype(np.float32)
for metric in ("euclidean", "cosine"):
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        # `kneighbors()` without rows leaves each row out of its own neighbours.
        NearestNeighbors(n_neighbors=k, algorithm="brute", metric=metric).fit(features).kneighbors()
        print(f"{metric} {rows} x {columns}, k = {k}: {time.process_time() - processor:.2f} s of processor, "
              f"{time.perf_counter() - wall:.2f} s")
