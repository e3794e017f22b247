"""Writes rings.json: ring features of a small integer picture, straight from their definition, in plain Python (cmath).

    python3 rings.py > rings.json

An independent check of `ring_features`: means, maxima, spreads and |mean(w exp(i m phi))| by complex numbers and arctan2,
once of the pixels (azimuth "about zero") and once of their deviation from the ring's mean. Two pixels are blank (null).
"""
import cmath
import json
import math

ROWS, COLS, RINGS, ORDERS, OUTER = 11, 14, 3, (1, 2, 4), 1.2

picture = [[(7 * y * y + 3 * x * y + 5 * x + 11) % 64 / 64 for x in range(COLS)] for y in range(ROWS)]
picture[5][6] = picture[8][9] = None


def features(subtract):
    width = min(ROWS, COLS) / 2 * OUTER / RINGS
    out = []
    for ring in range(RINGS):
        seen = []
        for y in range(ROWS):
            for x in range(COLS):
                dy, dx = y - (ROWS - 1) / 2, x - (COLS - 1) / 2
                if ring * width <= math.hypot(dx, dy) < (ring + 1) * width and picture[y][x] is not None:
                    seen.append((picture[y][x], math.atan2(dy, dx)))
        mean = sum(w for w, _ in seen) / len(seen)
        out += [mean, max(w for w, _ in seen), math.sqrt(sum((w - mean) ** 2 for w, _ in seen) / len(seen))]
        base = mean if subtract else 0
        out += [abs(sum((w - base) * cmath.exp(1j * m * phi) for w, phi in seen) / len(seen)) for m in ORDERS]
    return out


json.dump({"made_by": "rings.py", "rings": RINGS, "outer_radius": OUTER, "orders": ORDERS, "picture": picture,
           "about_zero": features(False), "about_ring_mean": features(True)}, __import__("sys").stdout)
