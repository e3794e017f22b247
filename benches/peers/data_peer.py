"""The Python stack's side of `cargo xtask bench-data`: one case a process, one timing a request.

    python3 data_peer.py '{"task": "windows", "reader": "memmap", "file": "mosaic.fits", "window": 256, "step": 128, "repeats": 1}'
    python3 data_peer.py --rice mosaic.fits rice.fits

The case comes as JSON; after two warm-up rounds the script prints one JSON line {"ready": ..., "version": ...}, then for every
line on standard input one JSON line {"seconds": per repeat, "peak_kib": VmHWM so far}. It ends with its input.

Tasks: `windows` (all windows of a mosaic as native float32; readers `memmap` and `section` of astropy, and `fitsio`), `recipe` (sigma
clip, two zscales, min-max, resize of 64 frames by astropy and OpenCV), `views` (the augmentation chain on 128 images of three channels
by albumentations). `--rice` writes a RICE-compressed copy with square tiles, quantised to a quarter of the noise with dither.
"""
import json
import os
import platform
import sys
import time
import warnings

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
warnings.simplefilter("ignore")


def need(name):
    """The module, or a way to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        packages = "astropy fitsio opencv-python-headless albumentations"
        sys.exit(f"{error}: run `{sys.executable} -m pip install {packages}`, or name another interpreter with --python")


np = need("numpy")


def versions(*modules):
    return ", ".join(f"{m.__name__} {m.__version__}" for m in (*modules, np)) + f", Python {platform.python_version()}"


def windows(case):
    """Each window becomes native float32; with `mask` its blank pixels are found and counted, as on our side."""
    window, step = case["window"], case["step"]
    if case["reader"] == "fitsio":
        library = need("fitsio")
        hdus = library.FITS(case["file"])
        image = next(hdu for hdu in hdus if hdu.has_data())
        rows, cols = image.get_dims()
    else:
        library = need("astropy")
        hdus = need("astropy.io.fits").open(case["file"], memmap=True)
        hdu = next(hdu for hdu in hdus if hdu.shape)
        rows, cols = hdu.shape
        image = hdu.section if case["reader"] == "section" else hdu.data
    corners = [(y, x) for y in range(0, rows - window + 1, step) for x in range(0, cols - window + 1, step)]
    corners = corners[:: case["every"]]

    def work():
        blank = 0
        for y, x in corners:
            pixels = image[y:y + window, x:x + window].astype(np.float32)
            blank += int(np.count_nonzero(~np.isfinite(pixels))) if case["mask"] else 0
        return blank

    return work, versions(library)


def recipe(case):
    cv2 = need("cv2")
    astropy = need("astropy")
    sigma_clip = need("astropy.stats").sigma_clip
    zscale = need("astropy.visualization").ZScaleInterval
    cv2.setNumThreads(1)
    side, out = case["window"], case["out"]
    y, x = np.mgrid[:side, :side]
    frames = []
    for seed in range(64):
        rng = np.random.default_rng(seed)
        frame = rng.normal(0, 3e-5, (side, side))
        for row, col, flux in zip(rng.uniform(0, side, 15), rng.uniform(0, side, 15), 10 ** rng.uniform(-4, -1.5, 15)):
            frame += flux * np.exp(-((y - row) ** 2 + (x - col) ** 2) / 12.5)
        frames.append(frame.astype(np.float32))

    def channels(frame):
        good = np.isfinite(frame) & (frame != 0)
        low, high = sigma_clip(frame[good], sigma_lower=5, sigma_upper=30, maxiters=5, return_bounds=True)[1:]
        yield np.where(good, np.clip(frame, low, high), 0)
        yield zscale(contrast=0.25)(frame)
        yield zscale(contrast=0.4)(frame)

    def one(frame):
        done = []
        for channel in channels(frame):
            low, high = channel.min(), channel.max()
            scaled = ((channel - low) / (high - low)).astype(np.float32)
            done.append(cv2.resize(scaled, (out, out), interpolation=cv2.INTER_LINEAR))
        return np.stack(done)

    return (lambda: [one(frame) for frame in frames][-1][0, 0, 0]), versions(astropy, cv2)


def views(case):
    cv2 = need("cv2")
    a = need("albumentations")
    cv2.setNumThreads(1)
    side = case["out"]
    rng = np.random.default_rng(0)
    images = [rng.random((side, side, 3), dtype=np.float32) for _ in range(128)]
    # The steps of Table 2 with this library's own names; it has no percentile threshold.
    chain = a.Compose([
        a.RandomResizedCrop(size=(side, side), scale=(0.64, 1.0), ratio=(1.0, 1.0), p=1.0),
        a.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8),
        a.HorizontalFlip(p=0.33),
        a.VerticalFlip(p=0.33),
        a.RandomRotate90(p=0.5),
        a.GaussianBlur(blur_limit=0, sigma_limit=(1.0, 3.0), p=0.1),
    ])

    def one(image):
        image = chain(image=image)["image"]
        if rng.random() < 0.5:
            cut = np.percentile(image, rng.uniform(40, 60), axis=(0, 1)).astype(np.float32)
            image = np.where(image < cut, np.float32(0), image)
        return image

    return (lambda: [one(image) for image in images][-1][0, 0, 0]), versions(a, cv2)


def write_rice(source, target):
    fits = need("astropy.io.fits")
    pixels = fits.getdata(source).astype(np.float32)
    image = fits.CompImageHDU(pixels, compression_type="RICE_1", tile_shape=(256, 256), quantize_level=4.0, quantize_method=1, dither_seed=1)
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(target, overwrite=True)


def peak_kib():
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except OSError:
        return None


def say(**line):
    print(json.dumps(line), flush=True)


def main():
    if sys.argv[1] == "--rice":
        return write_rice(*sys.argv[2:])
    case = json.loads(sys.argv[1])
    work, version = {"windows": windows, "recipe": recipe, "views": views}[case["task"]](case)
    for _ in range(2):
        work()
    say(ready=case["task"], version=version)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(case["repeats"]):
            work()
        say(seconds=(time.perf_counter() - start) / case["repeats"], peak_kib=peak_kib())


main()
