"""The Python side of `cargo xtask interop`: formats that astropy, regions, pyarrow and pycocotools read and
write, the footprints that mocpy reads, and the forests that scikit-learn grows.

    python3 formats.py check FOLDER     reads the files named in FOLDER/expected.json and compares every value
    python3 formats.py make FOLDER      writes files of its own and FOLDER/expected.json, for the other side to compare
    python3 formats.py versions         the versions of what it reads and writes with

Prints one line for each group of files; ends with an error at the first difference. Numbers are compared exactly, positions on the sky
within 1e-9 degree. In the JSON a missing number is null, an infinite one "inf" or "-inf", a pixel is [row, column] from 0.
"""
import contextlib
import importlib.metadata
import io
import json
import math
import os
import sys
import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.ascii import convert_numpy
from astropy.io.votable import parse as parse_votable
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS
from mocpy import MOC
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from regions import Regions
from sklearn.ensemble import IsolationForest

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "crates", "anomaly-iforest", "python"))
from export_scikit_learn import export

warnings.simplefilter("ignore")
DEGREES = 1e-9


def same(what, found, wanted):
    """The same kind of value with the same digits: 1 is not 1.0 or True, and 0.0 is not -0.0."""
    if isinstance(found, list) and isinstance(wanted, list):
        if len(found) != len(wanted):
            sys.exit(f"{what}: {len(found)} values found, expected {len(wanted)}")
        for number, (one, other) in enumerate(zip(found, wanted)):
            same(f"{what}[{number}]", one, other)
    elif repr(found) != repr(wanted):
        sys.exit(f"{what}: found {found!r}, expected {wanted!r}")


def plain(value):
    """A JSON value of an astropy cell; missing numbers are None."""
    if value is None or np.ma.is_masked(value) and np.ndim(value) == 0:
        return None
    if isinstance(value, (np.ndarray, list)):
        return [plain(v) for v in (value if isinstance(value, list) else value.tolist())]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def check_image(folder, want):
    with fits.open(os.path.join(folder, want["file"])) as hdus:
        hdus.verify("exception")
        hdu = hdus[0]
        same(f"{want['file']}: CHECKSUM and DATASUM are right", [hdu.verify_checksum(), hdu.verify_datasum()], [1, 1])
        pixels = hdu.data
        same(f"{want['file']}: BITPIX", hdu.header["BITPIX"], want["bitpix"])
        same(f"{want['file']}: shape", list(pixels.shape), want["shape"])
        same(f"{want['file']}: pixels", as_json(pixels.ravel().tolist()), want["pixels"])
        wcs = WCS(hdu.header, naxis=2)
        for (row, col), (lon, lat) in want["sky"]:
            found_lon, found_lat = wcs.wcs_pix2world([[col, row]], 0)[0]
            apart = math.hypot((found_lon - lon + 180) % 360 - 180, found_lat - lat)
            if not apart < DEGREES:
                sys.exit(f"{want['file']}: sky of pixel {row}, {col}: found {found_lon}, {found_lat}, expected {lon}, {lat}")


def table_columns(path, kind):
    if kind == "votable":
        votable = parse_votable(path, verify="exception")
        return votable.get_first_table().to_table(use_names_over_ids=True)
    if kind == "parquet":
        import pyarrow.parquet

        arrow = pyarrow.parquet.read_table(path)
        return {name: arrow.column(name).to_pylist() for name in arrow.column_names}
    if kind == "csv":
        # Truth values have to be asked for.
        kinds = [convert_numpy(kind) for kind in (int, float, bool, str)]
        return Table.read(path, format="ascii.csv", converters={"*": kinds})
    return Table.read(path, format="fits", hdu=1)


def check_table(folder, want):
    table = table_columns(os.path.join(folder, want["file"]), want["kind"])
    names = list(table) if isinstance(table, dict) else table.colnames
    same(f"{want['file']}: columns", names, [name for name, _ in want["columns"]])
    for name, cells in want["columns"]:
        found = [plain(cell) for cell in table[name]]
        # A text column knows no missing cell, only an empty one.
        found = ["" if f is None and w == "" else f for f, w in zip(found, cells)] if len(found) == len(cells) else found
        same(f"{want['file']}: column {name}", found, cells)
        if name in want["units"]:
            # As units, not as text: astropy writes `Jy / beam`.
            same(f"{want['file']}: unit of {name}", table[name].unit, u.Unit(want["units"][name]))


def check_regions(folder, want):
    regions = Regions.read(os.path.join(folder, want["file"]), format=want["kind"])
    same(f"{want['file']}: number of regions", len(regions), len(want["regions"]))
    for region, wanted in zip(regions, want["regions"]):
        found = describe_region(region)
        for key in ("shape", "sky", "include", "text", "tags"):
            same(f"{want['file']}: {wanted['shape']}: {key}", found[key], wanted[key])
        for one, other in zip(found["numbers"], wanted["numbers"], strict=True):
            # Longitudes may differ by a turn.
            apart = abs((one - other + 180) % 360 - 180) if wanted["sky"] else abs(one - other)
            if not apart < 1e-9 * max(1, abs(other)):
                sys.exit(f"{want['file']}: found {found}, expected {wanted}")


def describe_region(region):
    """Shape and numbers: positions (degrees ICRS, or pixels from 0: column, row), then sizes (degrees or pixels), then angle (degrees)."""
    kind = type(region).__name__
    sky = kind.endswith("SkyRegion")
    shape = kind.removesuffix("SkyRegion").removesuffix("PixelRegion").lower()

    def point(p):
        return [p.icrs.ra.deg, p.icrs.dec.deg] if sky else [p.x, p.y]

    def size(q):
        return q.to_value(u.deg) if sky else float(q)

    if shape == "polygon":
        vertices = region.vertices
        points = zip(vertices.icrs.ra.deg, vertices.icrs.dec.deg) if sky else zip(vertices.x, vertices.y)
        numbers = [float(n) for p in points for n in p]
    elif shape == "line":
        numbers = [float(n) for n in [*point(region.start), *point(region.end)]]
    else:
        numbers = [float(n) for n in point(region.center)]
        for name in ("radius", "width", "height", "inner_radius", "outer_radius", "inner_width", "outer_width", "inner_height", "outer_height"):
            if hasattr(region, name):
                numbers.append(float(size(getattr(region, name))))
        if shape in ("ellipse", "rectangle", "ellipseannulus"):
            numbers.append(float(region.angle.to_value(u.deg)))
    meta = region.meta
    text = region.text if shape == "text" else meta.get("text", meta.get("label"))
    return dict(shape=shape, sky=sky, numbers=numbers, include=bool(meta.get("include", True)), text=text, tags=list(meta.get("tag", [])))


def check_coco(folder, want):
    # It prints its progress.
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(os.path.join(folder, want["file"]))
    for wanted in want["annotations"]:
        annotation = coco.anns[wanted["id"]]
        mask = coco.annToMask(annotation)
        same(f"{want['file']}: mask {wanted['id']}", mask.ravel().tolist(), wanted["mask"])
        encoded = coco_mask.encode(np.asfortranarray(mask))
        same(f"{want['file']}: area {wanted['id']}", annotation["area"], float(coco_mask.area(encoded)))
        same(f"{want['file']}: box {wanted['id']}", annotation["bbox"], coco_mask.toBbox(encoded).tolist())
        same(f"{want['file']}: run lengths", encoded["counts"].decode(), wanted["counts"])


def check_moc(folder, want):
    form = {"txt": "ascii"}.get(want["kind"], want["kind"])
    moc = MOC.load(os.path.join(folder, want["file"]), format=form)
    same(f"{want['file']}: order", int(moc.max_order), want["order"])
    same(f"{want['file']}: cells", sorted(moc.flatten().tolist()), want["cells"])
    same(f"{want['file']}: share of the sky", float(moc.sky_fraction), want["sky_fraction"])


CHECKS = {"images": check_image, "tables": check_table, "regions": check_regions, "coco": check_coco, "mocs": check_moc}


def check(folder):
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    for group, wanted in expected.items():
        for want in wanted:
            CHECKS[group](folder, want)
        print(f"read by Python: {len(wanted)} files of group {group}")


def as_json(values):
    return [plain(v) for v in values]


def make_images(folder, rng):
    images = []
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---SIN", "DEC--SIN"
    header["CRVAL1"], header["CRVAL2"] = 201.4, -43.0
    header["CRPIX1"], header["CRPIX2"] = 7.5, 4.0
    header["CDELT1"], header["CDELT2"] = -2 / 3600, 2 / 3600
    header["CUNIT1"] = header["CUNIT2"] = "deg"
    header["RADESYS"] = "ICRS"
    wcs = WCS(header)
    kinds = {"u8": np.uint8, "i16": np.int16, "u16": np.uint16, "i32": np.int32, "i64": np.int64, "f32": np.float32, "f64": np.float64}

    def add(name, hdus, pixels, number):
        fits.HDUList(hdus).writeto(os.path.join(folder, name), overwrite=True, checksum=True)
        points = [[int(r), int(c)] for r, c in zip(rng.integers(0, pixels.shape[0], 4), rng.integers(0, pixels.shape[1], 4))]
        sky = [[p, wcs.wcs_pix2world([[p[1], p[0]]], 0)[0].tolist()] for p in points]
        # Single precision is what a pixel is read as.
        images.append(dict(file=name, hdu=number, shape=list(pixels.shape), pixels=as_json(pixels.astype(np.float32).ravel()), sky=sky))
        # Unsigned numbers of more than 8 bits are stored with an offset, which makes them real ones.
        if pixels.dtype.kind == "i" or pixels.dtype == np.uint8:
            images[-1]["numbers"] = as_json(pixels.ravel())

    for name, kind in kinds.items():
        if kind in (np.float32, np.float64):
            pixels = (rng.normal(0, 1, (9, 14)) * 10.0 ** rng.integers(-30, 30, (9, 14))).astype(kind)
            pixels[2, 3], pixels[4, 5], pixels[6, 7] = np.nan, np.inf, -0.0
        else:
            limits = np.iinfo(kind)
            pixels = rng.integers(limits.min, limits.max, (9, 14), dtype=kind, endpoint=True)
        add(f"image-{name}.fits", [fits.PrimaryHDU(pixels, header)], pixels, 0)
    noise = rng.normal(0, 1, (64, 70)).astype(np.float32)
    whole = rng.integers(-1000, 1000, (64, 70)).astype(np.int32)
    for compression in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"):
        source = np.abs(whole) if compression == "PLIO_1" else whole
        hdu = fits.CompImageHDU(source, header, compression_type=compression, tile_shape=(32, 35))
        add(f"{compression.lower()}-i32.fits", [fits.PrimaryHDU(), hdu], source, 1)
    for compression, dither in (("RICE_1", 1), ("RICE_1", 2), ("GZIP_2", -1)):
        name = f"{compression.lower()}-f32-{dither}.fits"
        hdu = fits.CompImageHDU(noise, header, compression_type=compression, tile_shape=(16, 70), quantize_level=8, quantize_method=dither, dither_seed=7)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(os.path.join(folder, name), overwrite=True)
        add(name, [fits.PrimaryHDU(), hdu], fits.getdata(os.path.join(folder, name), 1), 1)
    pixels = rng.normal(0, 1, (1, 1, 9, 14)).astype(np.float32)
    fits.PrimaryHDU(pixels, None).writeto(os.path.join(folder, "axes.fits.gz"), overwrite=True)
    images.append(dict(file="axes.fits.gz", hdu=0, shape=[9, 14], pixels=as_json(pixels.ravel()), sky=[]))
    return images


def make_tables(folder, rng):
    table = Table()
    table["name"] = ["J1234-56", "β Pictoris", "a,b \"c\" <d>", "", "last"]
    table["count"] = rng.integers(-2**40, 2**40, 5)
    table["flux"] = MaskedColumn(rng.normal(0, 1e-3, 5), mask=[False, True, False, False, False], unit="Jy")
    table["rms"] = rng.normal(0, 1, 5).astype(np.float32)
    table["good"] = [True, False, True, True, False]
    tables = []

    def add(kind, name, source, **options):
        source.write(os.path.join(folder, name), overwrite=True, **options)
        units = {c: str(source[c].unit) for c in source.colnames if source[c].unit} if kind in ("votable", "fits") else {}
        tables.append(dict(file=name, kind=kind, columns=[[c, as_json(source[c])] for c in source.colnames], units=units))

    arrays = table.copy()
    arrays["spectrum"] = rng.normal(0, 1, (5, 3))
    add("votable", "tabledata.vot", arrays, format="votable", tabledata_format="tabledata")
    add("votable", "binary2.vot", arrays, format="votable", tabledata_format="binary2")
    add("votable", "binary.vot", arrays, format="votable", tabledata_format="binary")
    ascii_names = arrays.copy()
    ascii_names["name"] = ["J1234-56", "b", "c d", "", "last"]
    add("fits", "table.fits", ascii_names, format="fits")
    doubles = table.copy()
    # Text knows no single precision.
    doubles["rms"] = doubles["rms"].astype(np.float64)
    add("csv", "table.csv", doubles, format="ascii.csv")
    add("parquet", "table.parquet", table, format="parquet")
    return tables


def make_regions(folder):
    texts = {
        "ds9": "# Region file format: DS9\nicrs\ncircle(201.4,-43.01,30\")\nellipse(201.5,-43.1,60\",20\",30)\nbox(201.3,-43.2,1',2',15)\n"
        "polygon(201.1,-43.0,201.2,-43.0,201.2,-43.1)\nannulus(201.4,-43.3,10\",20\")\n-circle(201.6,-43.4,5\") # text={a b} tag={one} tag={two}\n"
        "ellipse(201.6,-43.5,10\",20\",15\",30\",70)\nline(201.1,-43.0,201.2,-43.1)\npoint(201.7,-43.6)\nfk5\ncircle(13:25:36.0,-43:00:36.0,30\")\ngalactic\n"
        "circle(309.5,19.4,0.01)\nimage\ncircle(101,51,7)\nellipse(31,41,10,5,20)\npolygon(1,1,11,1,6,9)\n",
        "crtf": "#CRTFv0\ncircle[[201.4deg, -43.01deg], 30arcsec], coord=ICRS\nellipse[[201.5deg, -43.1deg], [20arcsec, 60arcsec], 30deg], coord=ICRS\n"
        "rotbox[[201.3deg, -43.2deg], [1arcmin, 2arcmin], 15deg], coord=ICRS\npoly[[201.1deg, -43.0deg], [201.2deg, -43.0deg], [201.2deg, -43.1deg]], coord=ICRS\n"
        "annulus[[201.4deg, -43.3deg], [10arcsec, 20arcsec]], coord=ICRS\ncircle[[100pix, 50pix], 7pix]\n",
    }
    out = []
    for kind, text in texts.items():
        name = f"regions.{'reg' if kind == 'ds9' else 'crtf'}"
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        out.append(dict(file=name, kind=kind, regions=[describe_region(r) for r in Regions.read(path, format=kind)]))
    return out


def make_forests(folder, rng):
    rows = rng.normal(0, 1, (300, 4)).astype(np.float32)
    rows[7] = 6.0
    forests = []
    for name, settings in {
        "forest": dict(),
        "forest-columns": dict(max_features=2, max_samples=64, bootstrap=True, contamination=0.02),
        "forest-one": dict(max_features=1, max_samples=0.1),
    }.items():
        forest = IsolationForest(n_estimators=40, random_state=int(rng.integers(1 << 30)), **settings).fit(rows)
        export(forest, os.path.join(folder, f"{name}.json"))
        outliers = [bool(one) for one in forest.predict(rows) == -1]
        scores = (-forest.score_samples(rows)).tolist()
        forests.append(dict(file=f"{name}.json", rows=rows.astype(float).tolist(), scores=scores, outliers=outliers))
    return forests


def make_coco(folder, rng):
    annotations, wanted = [], []

    def add(segmentation, encoded):
        number, mask, counts = len(wanted) + 1, coco_mask.decode(encoded), encoded["counts"].decode()
        area, box = float(coco_mask.area(encoded)), coco_mask.toBbox(encoded).tolist()
        annotations.append(dict(id=number, image_id=1, category_id=1, iscrowd=0, area=area, bbox=box, segmentation=segmentation))
        wanted.append(dict(id=number, mask=mask.ravel().tolist(), counts=counts, area=area, bbox=box))

    for number in range(1, 6):
        mask = (rng.random((17, 23)) < 0.3).astype(np.uint8) if number > 1 else np.zeros((17, 23), np.uint8)
        encoded = coco_mask.encode(np.asfortranarray(mask))
        add(dict(size=[17, 23], counts=encoded["counts"].decode()), encoded)
        # The form without compression: lengths of runs, column by column, background first.
        runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], mask.ravel("F"), [2]]))))
        add(dict(size=[17, 23], counts=[0] * int(mask[0, 0]) + runs.tolist()), encoded)
    for polygon in [[2.0, 3.0, 15.5, 4.0, 14.0, 12.5, 3.0, 11.0], *(rng.random((4, 8)) * np.tile([23, 17], 4)).tolist()]:
        add([polygon], coco_mask.merge(coco_mask.frPyObjects([polygon], 17, 23)))
    images, categories = [dict(id=1, file_name="a.fits", width=23, height=17)], [dict(id=1, name="compact")]
    with open(os.path.join(folder, "coco.json"), "w", encoding="utf-8") as file:
        json.dump(dict(images=images, annotations=annotations, categories=categories), file)
    return [dict(file="coco.json", annotations=wanted)]


def make(folder):
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(20261123)
    expected = dict(
        images=make_images(folder, rng),
        tables=make_tables(folder, rng),
        regions=make_regions(folder),
        coco=make_coco(folder, rng),
        forests=make_forests(folder, rng),
    )
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file)
    print(f"written by Python: {sum(map(len, expected.values()))} files")


def versions():
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("astropy", "regions", "pycocotools", "pyarrow", "mocpy", "scikit-learn", "numpy")))


if __name__ == "__main__":
    {"check": check, "make": make, "versions": versions}[sys.argv[1]](*sys.argv[2:])
