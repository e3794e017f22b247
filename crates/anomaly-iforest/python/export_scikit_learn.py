"""Writes a fitted sklearn.ensemble.IsolationForest as the JSON file that `IsolationForest::load` and `radio-ssl anomalies --forest` read.

    from export_scikit_learn import export
    export(IsolationForest(n_estimators=200).fit(features), "forest.json")

Scores agree to 1e-12 with -forest.score_samples(features), outliers with forest.predict(features) == -1. Nothing is pickled.
"""

import json


def tree_arrays(estimator, columns):
    """One tree; its columns are numbered as in the table, not as in the draw of the tree."""
    tree = estimator.tree_
    is_leaf = tree.children_left < 0
    return {
        "feature": [-1 if leaf else int(columns[f]) for f, leaf in zip(tree.feature, is_leaf)],
        "threshold": [0.0 if leaf else float(t) for t, leaf in zip(tree.threshold, is_leaf)],
        "left": [int(child) for child in tree.children_left],
        "right": [int(child) for child in tree.children_right],
        "n_node_samples": [int(rows) for rows in tree.n_node_samples],
    }


def export(forest, path):
    trees = [tree_arrays(e, columns) for e, columns in zip(forest.estimators_, forest.estimators_features_)]
    content = {
        "format": "isolation-forest/1",
        "n_features": int(forest.n_features_in_),
        "samples_per_tree": int(forest.max_samples_),
        "offset": float(forest.offset_),
        "trees": trees,
    }
    with open(path, "w") as file:
        json.dump(content, file)
