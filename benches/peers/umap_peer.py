"""Processor seconds of umap-learn, the peer of `crates/map-umap/examples/umap_time.rs`.

Needs umap-learn. Arguments: rows columns repeats (5000 512 3 unless told). Threads: NUMBA_NUM_THREADS, OMP_NUM_THREADS; with
a seed umap-learn's layout is serial. The first fit and transform compile and are not counted.
"""
import sys
import time
import warnings

import numpy as np
import umap
from sklearn.manifold import trustworthiness

warnings.simplefilter("ignore")
rows, columns, repeats = [int(a) for a in sys.argv[1:]] + [5000, 512, 3][len(sys.argv) - 1:]
rng = np.random.default_rng(1)
gaussian = lambda *shape: rng.uniform(-0.866, 0.866, (4, *shape)).sum(0)
inner = (1.5 * gaussian(8, 10))[np.arange(rows) % 8] + gaussian(rows, 10)
features = (inner @ gaussian(10, columns) + 0.3 * gaussian(rows, columns)).astype(np.float32)
umap.UMAP(n_neighbors=15, random_state=0, n_jobs=1, n_epochs=5).fit(features).transform(features[:1000])
for seed in range(repeats):
    wall, processor = time.perf_counter(), time.process_time()
    fitted = umap.UMAP(n_neighbors=15, min_dist=0.1, random_state=seed, n_jobs=1).fit(features)
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    start = time.process_time()
    fitted.transform(features[:1000])
    placing = time.process_time() - start
    trust = trustworthiness(features, fitted.embedding_, n_neighbors=15)
    print(f"{rows} x {columns}: {processor:.2f} s of processor, {wall:.2f} s; {min(rows, 1000)} rows placed in {placing:.2f} s "
          f"of processor; trustworthiness (15) {trust:.4f}")
