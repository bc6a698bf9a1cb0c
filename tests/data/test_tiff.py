"""TIFFs of every depth, number of bands, order and compression: read exactly as written, or refused by the fact."""

import io
import itertools
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from tiffs import DEFLATE, LZW, NONE, PACKBITS, tiff

from wholenet.data.file_findings import of_masks
from wholenet.data.infer import BINARY
from wholenet.data.opening import quiet_pillow
from wholenet.data.pictures import read_image, read_raw_mask
from wholenet.data.sample import DataError
from wholenet.data.stored import PictureError
from wholenet.data.survey import look_at_mask
from wholenet.deploy.predict import predict_files

HEIGHT, WIDTH = 20, 18
DEPTHS = {"u": (1, 2, 4, 8, 16, 32), "i": (8, 16, 32), "f": (16, 32, 64)}
TYPES = [f"{kind}{bits}" for kind, depths in DEPTHS.items() for bits in depths]
PACKINGS = [(NONE, 1), (LZW, 1), (LZW, 2), (DEFLATE, 1), (DEFLATE, 2), (PACKBITS, 1)]
WHITE_IS_ZERO, GRAY, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5
BANDS_OF = {WHITE_IS_ZERO: 1, GRAY: 1, RGB: 3, PALETTE: 1, CMYK: 4}
COLORS = np.random.default_rng(5).integers(0, 1 << 16, (3, 256))


def numbers(kind: str, bands: int = 1) -> np.ndarray:
    """[H, W, bands], over the whole range of a type such as "u4", in the smallest type of NumPy that holds it."""
    bits, rng = int(kind[1:]), np.random.default_rng([*kind.encode(), bands])
    if kind[0] == "f":
        return rng.random((HEIGHT, WIDTH, bands)).astype(f"f{bits // 8}")
    low, high = (0, 1 << bits) if kind[0] == "u" else (-(1 << bits - 1), 1 << bits - 1)
    return rng.integers(low, high, (HEIGHT, WIDTH, bands)).astype(f"{kind[0]}{max(bits, 8) // 8}")


def combinations():
    """(What a file says of itself, its numbers [H, W, C], the file)."""
    for kind, bands, color in itertools.product(TYPES, (1, 2, 3, 4, 7), BANDS_OF):
        further, bits = bands - BANDS_OF[color], int(kind[1:])
        if further < 0 or (color == PALETTE and (kind[0] != "u" or bits > 8)):
            continue
        pixels = numbers(kind, bands)
        more = {320: COLORS[:, : 1 << bits].ravel().tolist()} if color == PALETTE else {}
        for extra in {(0,) * further, (2,) * further} if further == 1 else {(0,) * further}:
            kept = {"kind": kind, "bands": bands, "color": color, "extra": extra, "bits": bits}
            for how in layouts(kind, readable=as_image(kept, pixels) is not None or as_mask(kept, pixels) is not None):
                page = {"pixels": pixels, "more": more, "rows": 7, "color": color, "extra": extra, "bits": bits, **how}
                order, big = page.pop("order"), page.pop("big")
                yield kept | how, pixels, tiff(page, order=order, big=big)


def layouts(kind: str, readable: bool):
    """Ways to arrange and pack; what is refused for its kind is refused before it is unpacked."""
    for planar, tile, order, big in itertools.product((False, True), (None, (16, 16)), "<>", (False, True)):
        for compression, predictor in PACKINGS[: 6 if readable and not big else 2 if readable or not big else 1]:
            if predictor == 1 or int(kind[1:]) >= 8:
                predictor = 3 if predictor == 2 and kind[0] == "f" else predictor
                yield {
                    **{"planar": planar, "tile": tile, "order": order, "big": big},
                    **{"compression": compression, "predictor": predictor},
                }


def has_alpha(said: dict) -> bool:
    return said["extra"] == (2,) and said["color"] in (GRAY, RGB, PALETTE)


def as_image(said: dict, pixels: np.ndarray) -> np.ndarray | None:
    """The image [H, W, 3] that viewers show, if it has 8 bits, or fewer that mean the same, and known bands."""
    if said["bands"] != BANDS_OF[said["color"]] + has_alpha(said):
        return None
    wide = pixels.astype(np.int64)
    if said["color"] == PALETTE:
        return (COLORS >> 8).T[wide[..., 0]] if said["bands"] == 1 or said["kind"] == "u8" else None
    if said["kind"] == "u1" and said["bands"] == 1:
        wide = 255 * wide
    elif said["kind"] != "u8":
        return None
    if said["color"] == WHITE_IS_ZERO:
        wide = 255 - wide
    if said["color"] == CMYK:
        return np.rint((255 - wide[..., :3]) * (255 - wide[..., 3:]) / 255)
    return wide[..., :3] if said["color"] == RGB else np.repeat(wide[..., :1], 3, axis=2)


def as_mask(said: dict, pixels: np.ndarray) -> np.ndarray | None:
    """The codes [H, W] in the file, if they are whole numbers of one meaning, or colours."""
    kind, bands, color = said["kind"], said["bands"], said["color"]
    if color == CMYK or bands != BANDS_OF[color] + has_alpha(said) or kind[0] == "f":
        return None
    if color == RGB or bands > 1:
        if kind != "u8":
            return None
    elif color != PALETTE and (kind in ("u2", "u4") or (kind == "u1" and color == WHITE_IS_ZERO)):
        return None
    wide = pixels.astype(np.int64)
    return wide[..., 0] if color != RGB else wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def rare(said: dict) -> bool:
    """Whether it is stored in a way that Pillow gets wrong and hardly any program writes: refused, until it can."""
    return (
        (said["planar"] and said["bands"] < 3)
        or (said["order"] == ">" and (said["big"] or said["kind"] in ("i16", "i32", "u32")))
        or (said["color"] == WHITE_IS_ZERO and said["kind"] not in ("u1", "u8"))
    )


def test_every_combination_is_read_exactly_or_refused_by_the_fact(tmp_path, capfd):
    path = tmp_path / "a.tif"
    read, refused = Counter(), Counter()
    with quiet_pillow():
        for said, pixels, content in combinations():
            path.write_bytes(content)
            for look, expected in ((read_image, as_image(said, pixels)), (read_raw_mask, as_mask(said, pixels))):
                found = outcome(look, path)
                if isinstance(found, str):
                    assert expected is None or rare(said), (said, found)
                    fact = f"{said['bands']} bands of {said['bits']} bit".replace("1 bands of ", "")
                    assert fact in found or f"PhotometricInterpretation {said['color']}" in found, (said, found)
                    refused[look, said["color"]] += 1
                else:
                    assert expected is not None, said
                    assert np.abs(found - expected).max() <= (said["color"] == CMYK), (look, said)
                    read[look, said["color"]] += 1
    assert (len(read), len(refused)) == (9, 10)  # of five colours each; masks in CMYK are never read
    assert capfd.readouterr() == ("", "")


def outcome(look, path):
    """What was read, or why it was refused."""
    try:
        found = look(path)
    except PictureError as error:
        return error.reason
    return found if look is read_image else found.codes


def test_the_files_of_these_tests_are_what_tifffile_takes_them_for():
    tifffile = pytest.importorskip("tifffile", reason="the independent reader is a part of wholenet[dev]")
    checked = 0
    for said, pixels, content in combinations():
        unpacked = said["compression"] in (NONE, DEFLATE) and said["predictor"] == 1
        if (
            unpacked
            and said["bits"] >= 8
            and said["color"] in (GRAY, RGB)
            and (said["bands"] > 1 or not said["planar"])
        ):
            found = tifffile.imread(io.BytesIO(content))
            found = np.moveaxis(found, 0, -1) if said["planar"] else found.reshape(pixels.shape)
            np.testing.assert_array_equal(found, pixels)
            checked += 1
    assert checked > 100


PAGE = {"pixels": numbers("u8", 3), "color": RGB}
LABELS = {"pixels": numbers("u8")}
NAMED = {
    "two pages": (tiff(PAGE, PAGE), "several pictures in one file (pages)"),
    "two pages, BigTIFF": (tiff(PAGE, PAGE, big=True), "several pictures in one file (pages)"),
    "a smaller copy first": (tiff(PAGE | {"more": {254: [1]}}, PAGE), "several pictures in one file (pages)"),
    "a transparency mask as second page": (tiff(PAGE, PAGE | {"more": {254: [4]}}), "several pictures"),
    "depths that differ": (tiff(PAGE | {"more": {258: [8, 8, 16]}}), "3 bands of 8/8/16 bits"),
    "types that differ": (tiff(PAGE | {"more": {339: [1, 1, 3]}}), "3 bands of 8 bits, of several types"),
    "complex numbers": (tiff(LABELS | {"more": {339: [6], 258: [64]}}), "1 band of 64 bits, complex"),
    "a fourth band of no stated kind": (tiff({"pixels": numbers("u8", 4), "color": RGB}), "4 bands of 8 bits, as RGB"),
    "alpha and one more": (
        tiff({"pixels": numbers("u8", 5), "color": RGB, "extra": (2, 0)}),
        "PhotometricInterpretation 2, ExtraSamples 2, 0",
    ),
    "three bands that are not said to be RGB": (
        tiff({"pixels": numbers("u8", 3), "extra": (0, 0)}),
        "3 bands of 8 bits, as grey",
    ),
    "YCbCr without JPEG": (tiff(PAGE | {"color": 6}), "YCbCr (PhotometricInterpretation 6) without JPEG"),
    "CIELAB": (tiff(PAGE | {"color": 8}), "CIELAB (PhotometricInterpretation 8)"),
    "a camera's raw mosaic": (
        tiff(LABELS | {"color": 32803}),
        "a camera's raw mosaic (PhotometricInterpretation 32803)",
    ),
    "a compression that Pillow does not know": (
        tiff(PAGE | {"more": {259: [34887]}}),
        "Pillow does not decode it; a TIFF of 3 bands of 8 bits, PhotometricInterpretation 2",
    ),
    "a strip that is left out": (
        tiff(LABELS | {"rows": 7, "more": {273: [0, 300, 400]}}),
        "1 of 3 strips or tiles are missing",
    ),
    "strips that are missing": (
        tiff(LABELS | {"rows": 7, "more": {273: [300, 400]}}),
        "1 of 3 strips or tiles are missing",
    ),
    "tiles that are missing": (
        tiff(LABELS | {"tile": (16, 16), "more": {324: [300]}}),
        "3 of 4 strips or tiles are missing",
    ),
    "no colour": (tiff(LABELS | {"without": (262,)}), "without the tag"),
    "no strips": (tiff(LABELS | {"without": (273,)}), "without the tag"),
    "tiles of no width": (tiff(LABELS | {"tile": (16, 16), "more": {322: [0]}}), "in parts of 0"),
    "a band without a depth": (tiff(PAGE | {"more": {277: [4]}}), "4 bands, with a depth for 3"),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_tags_say_and_pillow_does_not_is_refused_by_the_fact(tmp_path, name, capfd):
    content, fact = NAMED[name]
    (tmp_path / "a.tif").write_bytes(content)
    for look in (read_image, read_raw_mask):
        assert fact in outcome(look, tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def test_predict_makes_no_mask_of_what_it_would_misread(tmp_path):
    class Model:
        classes = BINARY

        def predict(self, image):
            return image[..., 0]

    deep = {"pixels": numbers("u16", 3), "color": RGB, "planar": True}
    for name, content in {"deep": tiff(deep), "pages": tiff(PAGE, PAGE), "good": tiff(PAGE)}.items():
        (tmp_path / f"{name}.tif").write_bytes(content)
        with suppress(DataError):
            predict_files(Model(), [tmp_path / f"{name}.tif"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_smaller_copies_behind_a_picture_are_no_further_pictures(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(PAGE, PAGE | {"more": {254: [1]}}))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), PAGE["pixels"])


def test_pages_that_follow_each_other_in_a_circle_come_to_an_end(tmp_path):
    content = bytearray(tiff(PAGE | {"more": {254: [1]}}))
    entries = int.from_bytes(content[8:10], "little")
    content[10 + 12 * entries : 14 + 12 * entries] = (8).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), PAGE["pixels"])


def test_a_tiff_that_ends_among_its_tags_is_refused(tmp_path):
    for cut in range(8, 200, 7):
        (tmp_path / "a.tif").write_bytes(tiff(PAGE)[:cut])
        assert "cannot be read as an image" in outcome(read_image, tmp_path / "a.tif")


def test_tags_that_claim_more_than_the_file_holds_cost_nothing(tmp_path):
    content = bytearray(tiff(PAGE))
    places = [10 + 12 * i for i in range(int.from_bytes(content[8:10], "little"))]
    (bits,) = [at for at in places if int.from_bytes(content[at : at + 2], "little") == 258]
    content[bits + 4 : bits + 8] = (1 << 31).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(content)
    assert "2147483648 values" in outcome(read_image, tmp_path / "a.tif")


def test_of_very_many_copies_not_all_are_looked_at(tmp_path, monkeypatch):
    small = PAGE | {"more": {254: [1]}}
    (tmp_path / "a.tif").write_bytes(tiff(PAGE, *[small] * 20))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), PAGE["pixels"])
    monkeypatch.setattr("wholenet.data.tiff.MOST_COPIES", 19)
    assert "several pictures" in outcome(read_image, tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [NONE, DEFLATE])
def test_a_tiff_is_turned_as_its_tag_says_once(tmp_path, orientation, compression):
    (tmp_path / "a.tif").write_bytes(tiff(PAGE | {"compression": compression, "more": {274: [orientation]}}))
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(PAGE["pixels"]).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), read_image(tmp_path / "a.png"))
    for kind in (np.uint8, np.uint16):
        labels = PAGE["pixels"][..., :1].astype(kind)
        (tmp_path / "m.tif").write_bytes(
            tiff({"pixels": labels, "compression": compression, "more": {274: [orientation]}})
        )
        np.testing.assert_array_equal(read_raw_mask(tmp_path / "m.tif").codes, read_image(tmp_path / "a.png")[..., 0])


def test_masks_in_which_white_is_zero_are_told_and_images_are_shown(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(LABELS | {"color": WHITE_IS_ZERO}))
    facts = look_at_mask(tmp_path / "a.tif")
    assert facts.white_is_zero
    assert facts.counts == dict(Counter(LABELS["pixels"].ravel().tolist()))
    (finding,) = of_masks({tmp_path / "a.tif": facts})
    assert (finding.severity, finding.kind) == ("note", "white-is-zero")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], 255 - LABELS["pixels"][..., 0])
