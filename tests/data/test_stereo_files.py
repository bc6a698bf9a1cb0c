"""Files of disparity: the values that their formats define, and that a damaged file is an error with its name."""

import io

import numpy as np
import pytest
from PIL import Image
from stereo_trees import write_image

from wholenet.data.sample import DataError
from wholenet.data.stereo.arrays import parse_array
from wholenet.data.stereo.disparity_files import as_truth, read_disparity, write_disparity
from wholenet.data.stereo.pfm import parse_pfm, pfm_of

NUMBERS = np.array([[0, 1.5, np.inf], [2.25, -3, 100]], np.float32)
LITTLE = bytes.fromhex(
    "50660a3320320a2d312e300a 00001040 000040c0 0000c842 00000000 0000c03f 0000807f"
)  # from the bottom row  # fmt: skip


def test_pfm_is_the_bytes_that_the_format_says():
    assert pfm_of(NUMBERS) == LITTLE
    assert len(LITTLE) == 36
    np.testing.assert_array_equal(parse_pfm(LITTLE, "x", 1), NUMBERS)


@pytest.mark.parametrize("header", [b"Pf\n3 2\n1\n", b"Pf 3 2 0.003921\n", b"Pf\r\n3 2\r\n1.0e0\r\n"])
def test_pfm_of_big_endian_numbers_whatever_the_size_of_the_scale(header):
    body = np.flipud(NUMBERS).astype(">f4").tobytes()
    np.testing.assert_array_equal(parse_pfm(header + body, "x", 1), NUMBERS)


def test_pfm_keeps_all_but_what_is_not_known(tmp_path):
    values = np.where(np.isfinite(NUMBERS), NUMBERS, np.nan)
    assert write_disparity(tmp_path / "a.pfm", values) == 0
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.pfm"), values)
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.pfm", 0.5), values / 2)


def test_16_bits_are_256ths_of_a_pixel_and_0_is_unknown(tmp_path):
    write_image(tmp_path / "a.png", np.array([[0, 1, 256, 384, 32768, 65535]], np.uint16))
    found = read_disparity(tmp_path / "a.png")
    np.testing.assert_array_equal(found, np.float32([[np.nan, 0.00390625, 1, 1.5, 128, 255.99609375]]))
    assert found.dtype == np.float32


def test_what_16_bits_do_not_hold_is_clipped_and_counted(tmp_path):
    values = np.float32([[1.5, 0.001, 255.99, 300, np.nan, np.inf, -2, 0]])
    assert write_disparity(tmp_path / "a.png", values) == 2
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "I;16"
        assert np.array(picture).tolist() == [[384, 1, 65533, 65535, 0, 0, 1, 1]]


def test_what_is_written_with_16_bits_is_within_half_a_unit(tmp_path):
    values = np.random.default_rng(0).uniform(0.01, 255, (20, 30)).astype(np.float32)
    assert write_disparity(tmp_path / "a.png", values) == 0
    assert np.abs(read_disparity(tmp_path / "a.png") - values).max() <= 0.5 / 256 + 1e-5


@pytest.mark.parametrize(
    ("name", "values"), [("a.tif", np.ones((2, 2))), ("a.png", np.ones((2, 2), int)), ("a.png", np.ones(2))]
)
def test_other_forms_and_arrays_are_not_written(name, values, tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.pfm|floats \[H, W\]"):
        write_disparity(tmp_path / name, values)


def test_sintels_colours(tmp_path):
    write_image(tmp_path / "a.png", np.uint8([[[3, 32, 0], [0, 1, 128]]]))
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.png", of_sintel=True), [[12.5, 0.0234375]])
    write_image(tmp_path / "b.png", np.uint8([[1, 2]]))
    with pytest.raises(DataError, match=r"b\.png: a PNG of 1 bands of uint8; Sintel's disparities are RGB"):
        read_disparity(tmp_path / "b.png", of_sintel=True)


def test_a_scale_goes_before_what_a_file_means_by_itself(tmp_path):
    for kind in (np.uint8, np.uint16):
        write_image(tmp_path / "a.png", np.array([[0, 4, 255]], kind))
        np.testing.assert_array_equal(read_disparity(tmp_path / "a.png", 0.25), [[np.nan, 1, 63.75]])
    write_image(tmp_path / "grey.png", np.repeat(np.uint8([[0, 4]])[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_disparity(tmp_path / "grey.png", 1), [[np.nan, 4]])


def saved(array, **more):
    file = io.BytesIO()
    np.savez_compressed(file, array) if more else np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("zipped", [{}, {"zipped": True}])
def test_arrays_of_numpy_are_read_in_any_order_and_type(kind, zipped):
    values = np.where(np.isfinite(NUMBERS), NUMBERS, np.nan).astype(kind)
    for array in (values, np.asfortranarray(values), values[None], values[..., None]):
        np.testing.assert_array_equal(parse_array(saved(array, **zipped), "x", 1), values)


def test_numbers_that_float32_does_not_hold_are_unknown(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1e300, -np.inf, np.nan, 2]]))
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.npy"), [[np.nan, np.nan, np.nan, 2]])


@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".npz", ".png"])
def test_a_file_that_is_cut_or_changed_anywhere_is_read_or_refused_by_name(suffix, tmp_path):
    path, values = tmp_path / f"a{suffix}", np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    if suffix in (".pfm", ".png"):
        write_disparity(path, values)
    else:
        path.write_bytes(saved(values, **({"zipped": True} if suffix == ".npz" else {})))
    whole, random, refused = path.read_bytes(), np.random.default_rng(0), []
    places = sorted(set(random.integers(0, len(whole), 40).tolist()))
    changed = [bytes([*whole[:i], whole[i] ^ 0x5A, *whole[i + 1 :]]) for i in places]
    for content in [*(whole[:i] for i in places), *changed]:
        path.write_bytes(content)
        try:
            assert read_disparity(path, max_megapixels=1).size <= 1e6
        except DataError as error:
            refused.append(str(error))
    assert len(refused) >= len(places)
    assert all(str(path) in message for message in refused)


def test_what_a_file_claims_is_compared_before_anything_is_allocated(tmp_path):
    huge = np.lib.format.header_data_from_array_1_0(np.zeros((1, 1), np.float32)) | {"shape": (10**6, 10**6)}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, huge)
    claims = {"a.pfm": b"Pf\n1000000 1000000\n-1\n", "a.npy": file.getvalue()}
    for name, content in claims.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=r"1000000x1000000 \(height x width\), 1e\+06 megapixels; the limit is 100"):
            read_disparity(tmp_path / name)
        with pytest.raises(DataError, match=r"takes 4,000,000,000,000 bytes, and has 0"):
            read_disparity(tmp_path / name, max_megapixels=1e6)
    (tmp_path / "b.pfm").write_bytes(bytes(5000))
    with pytest.raises(DataError, match=r"has 5,000 bytes; expected at most 4,104"):
        read_disparity(tmp_path / "b.pfm", max_megapixels=1e-6)


def test_what_is_no_file_or_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.pfm").mkdir()
    for name, what in (
        ("a.pfm", "no regular file"),
        ("b.pfm", "No such file"),
        ("b.png", "b.png"),
        ("b.exr", "expected one of"),
    ):
        with pytest.raises(DataError, match=what):
            read_disparity(tmp_path / name)


def test_a_sign_is_dropped_where_all_have_it_or_none_means_anything():
    minus = np.float32([[-2, np.nan, 0]])
    np.testing.assert_array_equal(as_truth(minus, "x"), -minus)
    np.testing.assert_array_equal(as_truth(-minus, "x"), -minus)
    both = np.float32([[-2, 3]])
    np.testing.assert_array_equal(as_truth(both, "x", either_sign=True), [[2, 3]])
    with pytest.raises(DataError, match="x has disparities from -2 to 3 px; expected 0 or more"):
        as_truth(both, "x")
