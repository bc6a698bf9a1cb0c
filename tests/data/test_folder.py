"""Which images and masks belong together, and the data set of the pairs."""

import pytest
from trees import labels, pair_up, picture, write, write_pairs

from wholenet.data.classes import default_colors
from wholenet.data.folder import FolderData, match, short_names
from wholenet.data.sample import Classes, DataError

ABC = Classes(("a", "b", "c"), default_colors(3))
NAMES = [f"p{i}" for i in range(10)]


# ---- pairing


@pytest.mark.parametrize("mask", ["a", "a_mask", "a_label", "a_labels", "a_gt", "a_seg", "a_L", "a-mask", "a_Mask"])
@pytest.mark.parametrize("image", ["a.png", "a.JPG", "a.webp"])
def test_a_mask_is_found_by_stem_and_usual_ending(tmp_path, image, mask):
    pair = (write(tmp_path / "x" / image, picture()), write(tmp_path / "y" / f"{mask}.png", labels(0)))
    assert pair_up(tmp_path / "x", tmp_path / "y") == [pair]


def test_sub_folders_are_searched_and_kept_apart(tmp_path):
    write_pairs(tmp_path / "x", tmp_path / "y", ["day/a", "night/a", "b"])
    pairs = pair_up(tmp_path / "x", tmp_path / "y")
    assert [image.relative_to(tmp_path / "x").as_posix() for image, _ in pairs] == ["b.png", "day/a.png", "night/a.png"]
    assert all(image.parts[-2:] == mask.parts[-2:] for image, mask in pairs[1:])
    assert short_names([image for image, _ in pairs]) == ("b", "day__a", "night__a")


def test_an_image_whose_own_name_ends_like_a_mask_keeps_its_mask(tmp_path):
    write_pairs(tmp_path / "x", tmp_path / "y", ["a", "a_mask"])
    assert [mask.stem for _, mask in pair_up(tmp_path / "x", tmp_path / "y")] == ["a", "a_mask"]


def test_files_of_operating_systems_are_no_images(tmp_path):
    write_pairs(tmp_path / "x", tmp_path / "y", ["a"])
    for junk in ("x/._a.png", "x/Thumbs.db", "y/._b.png", "x/.cache/c.png", "x/__MACOSX/d.png", "y/notes.txt"):
        (tmp_path / junk).parent.mkdir(exist_ok=True)
        (tmp_path / junk).write_bytes(b"junk")
    assert len(pair_up(tmp_path / "x", tmp_path / "y")) == 1


def test_images_without_mask_are_counted_and_five_named(tmp_path):
    write_pairs(tmp_path / "x", tmp_path / "y", ["paired"])
    for name in NAMES:
        write(tmp_path / "x" / f"{name}.png", picture())
    with pytest.raises(DataError) as error:
        pair_up(tmp_path / "x", tmp_path / "y")
    message = str(error.value)
    assert message.startswith("10 images without mask: ")
    assert [name for name in NAMES if f"{name}.png" in message] == NAMES[:5]
    assert f"Searched in {tmp_path / 'y'}" in message


def test_masks_without_image_are_named(tmp_path):
    write_pairs(tmp_path / "x", tmp_path / "y", ["paired"])
    write(tmp_path / "y" / "lonely_mask.png", labels(0))
    with pytest.raises(DataError, match=r"1 mask without image: .*lonely_mask\.png\nSearched in .*x"):
        pair_up(tmp_path / "x", tmp_path / "y")


@pytest.mark.parametrize(("extra", "kind"), [("x/a.jpg", "images"), ("y/a_mask.png", "masks"), ("y/a.bmp", "masks")])
def test_two_files_for_one_place_are_ambiguous(tmp_path, extra, kind):
    write_pairs(tmp_path / "x", tmp_path / "y", ["a"])
    write(tmp_path / extra, picture() if kind == "images" else labels(0))
    with pytest.raises(DataError, match=rf"several {kind} of one name: .*a\.png") as error:
        pair_up(tmp_path / "x", tmp_path / "y")
    assert str(tmp_path / extra) in str(error.value)


PAIRED = {
    "composed and decomposed": ("gr\u00f6\u00dfe \u00e9.png", "gro\u0308\u00dfe e\u0301.png"),
    "the other way, in a folder": ("e\u0301/u\u0308.png", "\u00e9/\u00fc_mask.png"),
    "the image's suffix kept": ("x.jpg", "x.jpg.png"),
    "and an ending": ("x.JPG", "x_mask.JPG.png"),
    "an ending after it": ("x.jpeg", "x.jpeg_gt.png"),
    "a dot that is no suffix": ("scan.001.png", "scan.001.png"),
    "a word before": ("img_0.png", "mask_0.png"),
    "without a separator": ("image0007.png", "mask0007.png"),
    "a word within": ("site_image_3-b.png", "site_label_3-b.png"),
}


@pytest.mark.parametrize("case", PAIRED)
def test_names_that_mean_the_same_are_paired(tmp_path, case):
    image, mask = PAIRED[case]
    pair = (write(tmp_path / "x" / image, picture()), write(tmp_path / "y" / mask, labels(0)))
    write_pairs(tmp_path / "x", tmp_path / "y", ["other"])
    assert pair in pair_up(tmp_path / "x", tmp_path / "y")


@pytest.mark.parametrize(
    ("image", "mask"),
    [("{}_training", "{}_manual1"), ("top_2_{}_RGB", "top_2_{}_label"), ("{}", "manual_{}"), ("scan_{}", "mask_{}")],
)
def test_names_of_which_all_but_a_shared_part_is_equal_are_paired(tmp_path, image, mask):
    for number in (20, 21, 30):
        write(tmp_path / "x" / f"{image.format(number)}.png", picture())
        write(tmp_path / "y" / f"{mask.format(number)}.gif", labels(0))
    found = match(tmp_path / "x", tmp_path / "y")
    assert [(i.stem, m.stem) for i, m in found.pairs] == [(image.format(n), mask.format(n)) for n in (20, 21, 30)]
    assert [f.kind for f in found.findings] == ["paired-by-words"]


def test_pairs_by_words_are_told_and_each_has_its_own_number(tmp_path):
    for number in range(10, 13):
        write(tmp_path / "x" / f"img_{number}.png", picture())
        write(tmp_path / "y" / f"mask_{number}.png", labels(0))
    found = match(tmp_path / "x", tmp_path / "y")
    assert [(i.stem[-2:], m.stem[-2:]) for i, m in found.pairs] == [(str(n),) * 2 for n in range(10, 13)]
    assert [(f.severity, f.kind, f.count) for f in found.findings] == [("note", "paired-by-words", 3)]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (("img_10", "img_11"), ("mask_20", "mask_21")),
        (("siteA_0", "siteA_1"), ("siteB_0", "siteB_1")),
        (("img_0", "img_1"), ("mask_0",)),
        (("img_0", "image_0"), ("mask_0", "label_0")),
        (("img10_a", "img10_b"), ("mask20_a", "mask20_b")),
        (("img_1_10", "img_1_11"), ("mask_2_10", "mask_2_11")),
        (("left_0", "left_1"), ("right_0", "right_1")),
    ],
)
def test_names_that_may_mean_something_else_are_not_paired_but_the_nearest_is_named(tmp_path, images, masks):
    for name in images:
        write(tmp_path / "x" / f"{name}.png", picture())
    for name in masks:
        write(tmp_path / "y" / f"{name}.png", labels(0))
    with pytest.raises(DataError, match=rf"images without mask: .*\n.*nearest name to .* is {masks[0][:4]}"):
        pair_up(tmp_path / "x", tmp_path / "y")
    assert not match(tmp_path / "x", tmp_path / "y").pairs


@pytest.mark.parametrize("folder", ["x", "y"])
def test_two_names_that_look_alike_are_a_clash(tmp_path, folder):
    write_pairs(tmp_path / "x", tmp_path / "y", ["\u00e9"])
    write(tmp_path / folder / "e\u0301.png", labels(0))
    with pytest.raises(DataError, match=r"several (images|masks) of one name \(the names look alike.*NFC or NFD\)"):
        pair_up(tmp_path / "x", tmp_path / "y")


def test_a_mask_whose_name_is_an_ending_alone_is_without_image(tmp_path):
    write_pairs(tmp_path / "x", tmp_path / "y", ["a"])
    write(tmp_path / "y" / "_mask.png", labels(0))
    with pytest.raises(DataError, match=r"1 mask without image: .*_mask\.png"):
        pair_up(tmp_path / "x", tmp_path / "y")


# ---- folders as data


def test_a_pair_of_different_sizes_is_refused_with_both_names_and_sizes(tmp_path):
    pair = (write(tmp_path / "i.png", picture(height=4)), write(tmp_path / "m.png", labels(0, height=6)))
    with pytest.raises(DataError, match=r"i\.png is 4x8 but its mask .*m\.png is 6x8 \(height x width\)"):
        FolderData([pair], ABC)[0]


def test_a_pair_that_differs_by_a_turn_hints_at_exif(tmp_path):
    pair = (write(tmp_path / "i.png", picture(height=8, width=6)), write(tmp_path / "m.png", labels(0)))
    with pytest.raises(DataError, match="EXIF"):
        FolderData([pair], ABC)[0]


def test_a_folder_is_a_sequence(tmp_path):
    write_pairs(tmp_path / "x", tmp_path / "y", ["a", "b"])
    data = FolderData(pair_up(tmp_path / "x", tmp_path / "y"), ABC)
    assert data[-1].name == data[1].name == "b"
    with pytest.raises(IndexError):
        data[2]
