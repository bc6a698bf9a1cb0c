"""How images of any bands and type reach a network: on the scale of the training images, each band by itself."""

import json

import numpy as np
import pytest
import torch

from wholenet.data.augment import Augmentation
from wholenet.data.check import check_split, measured
from wholenet.data.device import RawStream, augmented
from wholenet.data.pictures import picture_of
from wholenet.data.pixels import MEAN, MIDDLE, PHOTO, SPREAD, STD, Pixels, band_stats, normalize, pixels_of
from wholenet.data.sample import IGNORE, Classes, DataError, Sample
from wholenet.data.stream import BatchStream

RNG = np.random.default_rng(2)
PLAIN = {"scale": (1.0, 1.0), "flip": 0.0, "jitter": 0.0, "noise": 0.0}
ORDER = {"seed": 1, "stream": "weights", "batches": 9}


class Bands:
    """Smooth images of two sizes and so many bands, each on a scale of its own; masks that follow them."""

    def __init__(self, channels=6, kind=np.float32):
        self.channels, self.kind = channels, kind

    def __len__(self):
        return 5

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError
        height, width = (40, 55) if index % 2 else (48, 50)
        y, x = np.mgrid[:height, :width]
        waves = [
            50 * (c + 2) + 10 * (c + 1) * np.sin((x * (c + 1) + y * (index + 1)) / 30) for c in range(self.channels)
        ]
        return Sample(np.stack(waves, axis=-1).astype(self.kind), ((x // 7 + index) % 3).astype(np.uint8), str(index))


def test_photographs_are_normalised_by_the_customary_constants_to_the_bit():
    image = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    assert np.array_equal(PHOTO.normalized(image), normalize(image))
    assert PHOTO.augmentable(image) is image
    assert np.array_equal(PHOTO.augmented(image), normalize(image))
    assert PHOTO.to_dict() == {"normalization": {"mean": list(MEAN), "std": list(STD)}}


@pytest.mark.parametrize("kind", ["uint16", "int32", "float64", "int8"])
def test_mean_and_spread_are_those_of_all_training_pixels(kind):
    images = [(100 * RNG.normal(size=(h, 9, 2)) / (1 if kind != "int8" else 9) + 0).clip(-99, 99) for h in (3, 50, 7)]
    images = [(image + 100 * (kind == "uint16")).astype(kind) for image in images]
    found = pixels_of(kind, "auto", [(image.shape[0] * image.shape[1], band_stats(image)) for image in images])
    whole = np.concatenate([image.reshape(-1, 2) for image in images]).astype(float)
    np.testing.assert_allclose(found.mean, whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.std, whole.std(0), rtol=1e-12)
    assert (found.low, found.high) == (tuple(whole.min(0)), tuple(whole.max(0)))
    standard = np.concatenate([found.normalized(image).reshape(-1, 2) for image in images]).astype(float)
    np.testing.assert_allclose(standard.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(standard.std(0), 1, atol=1e-6)


def test_small_differences_of_large_numbers_are_kept():
    image = (10**9 + RNG.integers(0, 5, (20, 20, 1))).astype(np.int32)
    pixels = pixels_of("int32", "auto", [(400, band_stats(image))])
    expected = (image.astype(float) - image.mean()) / image.std()
    np.testing.assert_allclose(pixels.normalized(image), expected, atol=1e-6)


def test_a_band_of_one_value_becomes_zero():
    image = np.full((4, 4, 2), 7, np.uint16)
    image[..., 1] = np.arange(16).reshape(4, 4)
    pixels = pixels_of("uint16", "auto", [(16, band_stats(image))])
    assert not pixels.normalized(image)[..., 0].any()


def test_what_files_say_is_read_back_and_what_does_not_do_is_refused():
    pixels = pixels_of("int16", "stored", [(4, band_stats(np.arange(12, dtype=np.int16).reshape(2, 2, 3)))])
    written = json.loads(json.dumps(pixels.to_dict()))
    assert Pixels.from_dict(written, "here") == pixels
    assert Pixels.from_dict(PHOTO.to_dict(), "here") == PHOTO
    about, scale = written["pixels"], written["normalization"]
    for change, fact in (
        ({"pixels": about | {"channels": 0}}, "here, pixels: channels=0: expected at least 1"),
        ({"pixels": about | {"channels": 4}}, "mean=.*: expected at least 4 values, found 3"),
        ({"pixels": about | {"type": "object"}}, "type='object': expected one of 'uint8'"),
        ({"pixels": about | {"bands": "first"}}, "bands='first': expected one of 'auto'"),
        ({"pixels": about | {"low": [0]}}, r"low=\[0\]: expected at least 3 values"),
        ({"pixels": about | {"more": 1}}, "unknown 'more'"),
        ({"normalization": scale | {"std": [1, 0, 1]}}, r"std\[1\]=0: expected above 0"),
        ({"normalization": scale | {"mean": [1, float("nan"), 1]}}, r"mean\[1\]=nan: expected a finite number"),
    ):
        with pytest.raises(ValueError, match=fact):
            Pixels.from_dict(written | change, "here")


@pytest.mark.parametrize("found", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 2), np.uint16), np.zeros((4, 4))])
def test_images_of_another_kind_are_refused_with_both_kinds(found):
    pixels = measured(Bands(2))
    for use in (pixels.check, pixels.normalized, pixels.augmentable):
        with pytest.raises(ValueError, match=r"expected an image of 2 bands of float32, \[H, W, 2\]; found") as error:
            use(found)
        assert f"found {found.dtype} {list(found.shape)}" in str(error.value)
    with pytest.raises(ValueError, match="expected an RGB image, uint8"):
        PHOTO.check(np.zeros((4, 4, 2), np.uint16))


def test_without_changes_a_crop_is_the_normalised_image_and_the_mean_beside_it():
    data = Bands()
    pixels = measured(data)
    stream = BatchStream(data, 1, Augmentation(crop=(60, 64), pixels=pixels, **PLAIN), pixels, **ORDER)
    images, masks = stream[0]
    sample = data[stream.indices(0)[0]]
    inside = masks[0] != IGNORE
    found = images[0][:, inside].reshape(6, *sample.mask.shape)
    np.testing.assert_allclose(found, pixels.normalized(sample.image).transpose(2, 0, 1), atol=2e-6)
    assert images[0][:, ~inside].abs().max() == 0


@pytest.mark.parametrize("scale", [(0.5, 0.8), (1.2, 2.0)])
def test_bands_are_scaled_each_by_itself(scale):
    """OpenCV takes no more than four at a time."""
    data = Bands()
    pixels = measured(data)
    changes = {**PLAIN, "crop": (32, 32), "scale": scale, "flip": 0.5}
    whole, _ = BatchStream(data, 4, Augmentation(**changes, pixels=pixels), pixels, **ORDER)[1]
    for band in range(6):
        part = [slice(band, band + 1)]
        alone = Pixels(channels=1, type="float32", mean=pixels.mean[part[0]], std=pixels.std[part[0]])

        class One(Bands):
            def __getitem__(self, index, at=part[0]):
                sample = super().__getitem__(index)
                return sample._replace(image=sample.image[..., at])

        single, _ = BatchStream(One(), 4, Augmentation(**changes, pixels=alone), alone, **ORDER)[1]
        np.testing.assert_allclose(whole[:, band], single[:, 0], atol=1e-5)


def test_jitter_is_one_brightness_and_one_contrast_for_all_bands():
    data = Bands()
    pixels = measured(data)
    changes = {**PLAIN, "crop": (30, 30)}
    plain, _ = BatchStream(data, 5, Augmentation(**changes, pixels=pixels), pixels, **ORDER)[0]
    jittered, _ = BatchStream(data, 5, Augmentation(**{**changes, "jitter": 0.4}, pixels=pixels), pixels, **ORDER)[0]
    slopes = []
    for before, after in zip(plain.double().flatten(1), jittered.double().flatten(1), strict=True):
        slope, offset = np.polyfit(before, after, 1)
        np.testing.assert_allclose(after, slope * before + offset, atol=1e-5)
        slopes.append(slope)
        middle = MIDDLE / SPREAD  # of 0 in a photograph
        mean = float(before.mean()) + middle
        brightness = (offset + slope * (mean - middle) + middle) / mean
        assert 0.6 <= brightness <= 1.4
        assert 0.6 <= slope / brightness <= 1.4
    assert np.std(slopes) > 0.01


@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_the_device_shows_what_the_host_shows(jitter):
    data = Bands(kind=np.uint16)
    pixels = measured(data)
    augmentation = Augmentation(crop=(32, 36), pixels=pixels, **{**PLAIN, "scale": (1.0, 1.7), "jitter": jitter})
    host, expected = BatchStream(data, 5, augmentation, pixels, **ORDER)[2]
    device, masks = augmented(RawStream(data, 5, augmentation, pixels, **ORDER)[2], augmentation)
    assert device.shape == host.shape == (5, 6, 32, 36)
    assert (device - host).abs().max() < 0.02
    assert (masks != expected).float().mean() < 0.02


def test_noise_is_as_strong_as_on_photographs():
    data = Bands()
    pixels = measured(data)
    changes = {**PLAIN, "crop": (30, 30)}
    plain, _ = BatchStream(data, 5, Augmentation(**changes, pixels=pixels), pixels, **ORDER)[0]
    noisy, _ = BatchStream(data, 5, Augmentation(**{**changes, "noise": 0.1}, pixels=pixels), pixels, **ORDER)[0]
    added = noisy - plain
    assert abs(float(added.std()) - 0.1 * 255 / SPREAD) < 0.01
    raw = RawStream(data, 5, Augmentation(**{**changes, "noise": 0.1}, pixels=pixels), pixels, **ORDER)
    there, _ = augmented(raw[0], raw.augment)
    assert torch.isclose((there - plain).std(), added.std(), rtol=0.05)


def test_a_data_set_of_arrays_is_measured_and_must_be_of_one_kind():
    classes = Classes(("a", "b", "c"), ((0, 0, 0), (9, 9, 9), (99, 99, 99)))
    data = Bands(4, np.int16)
    pixels = measured(data)
    assert (pixels.channels, pixels.type, pixels.bands) == (4, "int16", "auto")
    assert check_split(data, classes, name="train", pixels=pixels).images == 5
    with pytest.raises(DataError, match=r"the image must be uint8 \[H, W, 3\], found int16"):
        check_split(data, classes, name="train")
    with pytest.raises(DataError, match=r"must be int16 \[H, W, 4\], as those before it are, found float32"):
        check_split(Bands(4), classes, name="val", pixels=pixels)


def test_pictures_for_people_are_stretched_between_percentiles():
    ramp = np.linspace(-3, 900, 10_000).reshape(100, 100, 1).astype(np.float32)
    for channels, shown in ((1, 1), (2, 1), (3, 3), (7, 3)):
        image = np.concatenate([ramp * (i + 1) for i in range(channels)], axis=2)
        picture = picture_of(image)
        assert (picture.dtype, picture.shape) == (np.uint8, (100, 100, 3))
        assert [(picture == value).mean().round(2) for value in (0, 255)] == [0.02, 0.02]
        assert len(np.unique(np.ptp(picture, axis=2))) == 1, shown  # the bands differ by a factor alone
    photo = RNG.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    assert picture_of(photo) is photo
    assert not picture_of(np.full((5, 5, 1), 3, np.uint16)).any()
