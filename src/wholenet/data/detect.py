"""From the place of a data set to the data set: its layout, its classes, its splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wholenet.checked import InnerShare, Megapixels, Seed, checked_numbers
from wholenet.data.camvid import CAMVID
from wholenet.data.channels import channel_names, channel_note, with_channels
from wholenet.data.cityscapes import CITYSCAPES, cityscapes_pairs
from wholenet.data.classes import CLASS_FILES, TABLES_OF_OTHERS, by_name, is_table_of_others, read_classes, same_names
from wholenet.data.finding import Finding, of_files
from wholenet.data.folder import IMAGE_SUFFIXES, MASK_SUFFIXES, FolderData, Mask, Matching, Pair, files_below, match
from wholenet.data.formats import of_volumes, other_format
from wholenet.data.guess import further_down, guess_layout, other_masks
from wholenet.data.infer import classes_of, infer_classes
from wholenet.data.labelme_masks import NAMES, converted_classes
from wholenet.data.layouts import KNOWN_LAYOUTS, SPLIT_FOLDERS, Layout, describe, find_layout, is_cityscapes, subfolders
from wholenet.data.lists import as_listed, lists_of, names_in
from wholenet.data.nested import Nested, nested_folders, objects_in, together
from wholenet.data.object_masks import UNPAIRED, ObjectFiles, joined, objects_of
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.outline_formats import read_outlines
from wholenet.data.outlines import Outlined
from wholenet.data.pixels import Bands
from wholenet.data.sample import Classes, DataError, DataSource
from wholenet.data.sets import Asked, data_set, known_by_name, open_set
from wholenet.data.survey import MaskFacts
from wholenet.data.tables import read_tables
from wholenet.data.tree import Tree
from wholenet.data.validation import with_val


@checked_numbers
def open_data(
    where: str | Path,
    *,
    val_share: InnerShare = 0.2,
    seed: Seed = 0,
    classes: Classes | None = None,
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
    bands: Bands = "auto",
) -> DataSource:
    """Open a data set by its name, or a folder of images and masks in any of the layouts known by sight.

    Args:
        where: "scenes" or another name (``data/sets.py``), or a folder (one called scenes is reached as "./scenes").
        val_share: how much of train becomes val if there is no val split.
        seed: which part that is; of images that are drawn, also which there are.
        classes: the classes to read the masks by if there is no class file; if there is one, it must name the same.
        max_megapixels: larger files are refused when they are read.
        bands: how image files become channels (``data/pixels.py``); a data set by name has images of its own.

    Raises:
        DataError: if the folder is none, has no known layout, or its images, masks and classes do not fit together.
        ValueError: for a number out of bounds.
    """
    if (known := data_set(where)) is not None:
        source = open_set(known, Asked(val_share=val_share, seed=seed, max_megapixels=max_megapixels))
        if classes is not None:
            same_names(source.classes, classes, known.name)
        return source
    root = Path(where).expanduser()
    tree = find_tree(root)
    for finding in tree.findings:
        if finding.severity == "error":
            raise DataError(str(finding))
    pairs, notes = with_val(root, tree.pairs, val_share, seed, by_folder=tree.by_folder)
    table, origin = class_table(root, tree, classes)
    return as_source(root, pairs, table, (*tree.notes, *notes, origin), max_megapixels, bands)


def as_source(
    root: Path,
    pairs: Mapping[str, list[Pair]],
    classes: Classes,
    notes: tuple[str, ...],
    max_megapixels: float,
    bands: Bands = "auto",
) -> DataSource:
    """The data set in ``root``, all that must be known of it being known."""
    splits = {name: FolderData(own, classes, max_megapixels, bands) for name, own in pairs.items()}
    return DataSource(root.resolve().name, classes, splits, notes)


# ---- the tree of files


def find_tree(root: Path) -> Tree:
    """The files of the data set in the folder ``root``.

    Raises:
        DataError: if it is none, has no known layout, or no train split.
    """
    if not root.is_dir():
        problem = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {problem}. Give a folder, or {known_by_name('segmentation')}.\n{KNOWN_LAYOUTS}")
    return _cityscapes_tree(root) if is_cityscapes(root) else _folder_tree(root)


def _cityscapes_tree(root: Path) -> Tree:
    note = "test is left out: the labels of Cityscapes' test images are not public"
    notes = (note,) if (root / "leftImg8bit" / "test").is_dir() else ()
    return _tree(cityscapes_pairs(root), (), CITYSCAPES, (), notes)


def layout_of(root: Path) -> Layout | None:
    """The layout that is known by sight, or else the one that seems to be (``data/guess.py``).

    Raises:
        DataError: if two folders could play the same part.
    """
    known = find_layout(root)
    if known is not None and ("train" not in known.folders or known.folders["train"][1] is not None):
        return further_down(known)
    return guess_layout(root) or known


def _folder_tree(root: Path) -> Tree:
    layout = layout_of(root)
    masks = [] if layout is None else [masks for _, masks in layout.folders.values() if masks is not None]
    if not any(files_below(folder, MASK_SUFFIXES) for folder in masks):
        drawn = read_outlines(root, layout)
        if drawn is not None:
            return _outlined_tree(root, drawn)
        nested = None if layout is not None else nested_folders(root)
        if nested is not None:
            return _nested_tree(root, nested)
        other = other_format(root)
        if other is not None:
            raise DataError(other.told)
        tables = read_tables(root) if layout is None else None
        if tables is not None:
            return tables
    if layout is None:
        raise DataError(f"{root} has no layout that wholenet knows; {describe(root)}\n{KNOWN_LAYOUTS}")
    volumes = of_volumes(root, layout)
    if volumes is not None:
        raise DataError(volumes)
    if "train" not in layout.folders:
        raise DataError(f"{root} has no train split, only {', '.join(layout.folders)}.\n{KNOWN_LAYOUTS}")
    notes = [f"{path} is not used: its name is no split's" for path in layout.unused]
    matchings, findings = {}, []
    for split, (images, masks) in layout.folders.items():
        if split == "test" and (masks is None or not files_below(masks, MASK_SUFFIXES)):
            notes.append(f"test is left out: {images} has no masks")
        elif masks is None:
            used = [folder for pair in layout.folders.values() for folder in pair]
            beside = ", ".join(folder.name for folder in subfolders(images.parent).values() if folder not in used)
            what = f"{images}: no folder of masks belongs to these images"
            what += f"; beside it lies {beside}: call the folder with the masks masks." if beside else "."
            findings.append(Finding("error", "no-masks-folder", what, KNOWN_LAYOUTS))
            matchings.setdefault(split, Matching([]))
        else:
            matchings[split] = match(images, masks)
    if any(finding.kind in UNPAIRED for own in matchings.values() for finding in own.findings):
        objects = _objects(layout, list(matchings))
        if objects is not None:
            where = {split: layout.folders[split][1] or root for split in objects}
            told = {split: folder.relative_to(root).as_posix() for split, folder in where.items()}
            return _outlined_tree(root, joined(objects, told), notes)
    listed = _as_listed(root, matchings["train"]) if list(layout.folders) == ["train"] else None
    if listed is not None:
        matchings, say = listed
        notes.append(say)
    mask_folders = tuple(masks for _, masks in layout.folders.values() if masks)
    unused = _unused_pictures(root, layout)
    findings += [*_nearly_class_files(root, mask_folders), *_other_masks(layout, unused)]
    notes += [f"{folder.relative_to(root).as_posix()} holds pictures and is not used" for folder in unused]
    names = channel_names(root)
    tree = _tree(matchings, findings, CAMVID if layout.segnet_names else None, mask_folders, notes, names)
    beside = all(masks == images for images, masks in layout.folders.values())
    named = converted_classes([mask for own in matchings.values() for _, mask in own.pairs]) if beside else None
    if named is not None:
        tree = replace(tree, known_classes=named, origin=f"classes from {NAMES}, beside the masks")
    return replace(tree, by_folder=beside)


def _objects(layout: Layout, splits: Sequence[str]) -> dict[str, ObjectFiles] | None:
    """The masks of the objects of each image, split by split; None where it is not so in one of them."""
    found = {}
    for split in splits:
        images, masks = layout.folders[split]
        of_split = None if masks is None or masks == images else objects_of(images, masks)
        if of_split is None:
            return None
        found[split] = of_split
    return found


def _nested_tree(root: Path, found: Nested) -> Tree:
    """Of folders that hold images and masks each: of a patient's, or of one image with a mask for each object."""
    matchings = {split: together([match(images, masks) for images, masks in own]) for split, own in found.items()}
    told = {split: f"{split}: images and masks in {len(own)} folders" for split, own in found.items()}
    unpaired = any(finding.kind in UNPAIRED for own in matchings.values() for finding in own.findings)
    objects = {split: objects_in(own) for split, own in found.items()} if unpaired else {}
    if objects and all(own is not None for own in objects.values()):
        where = {split: f"{own[0][1].relative_to(root).as_posix()}, ..." for split, own in found.items()}
        return _outlined_tree(root, joined({split: own for split, own in objects.items() if own}, where))
    folders = tuple(masks for own in found.values() for _, masks in own)
    tree = _tree(matchings, (), None, folders, ())
    return replace(tree, by_folder=True, told="; ".join(told.values()))


def _outlined_tree(root: Path, found: Outlined, notes: Iterable[str] = ()) -> Tree:
    if not found.pairs.get("train") and not any(finding.severity == "error" for finding in found.findings):
        listed = ", ".join(split for split, own in found.pairs.items() if own) or "no split"
        raise DataError(f"{root} has no images of train with outlines in {found.format}'s format, only {listed}.")
    pairs = {split: list[Pair](own) for split, own in {"train": [], **found.pairs}.items()}
    return Tree(pairs, found.findings, found.classes, notes=(*notes, *found.notes), outlined=found)


def _as_listed(root: Path, whole: Matching) -> tuple[dict[str, Matching], str] | None:
    """The pairs of each list of images in ``root``, and what to say of it; None where there is no list.

    Images that none lists need no mask, and a test list may be of images without masks.
    """
    lists = lists_of(root)
    found, missing = {}, {}
    for split, path in lists.items():
        names = names_in(path)
        pairs, missing[split] = as_listed(names, [(image, (image, mask)) for image, mask in whole.pairs])
        if split == "test" and not pairs:
            continue
        advice = f"Add the image and the mask of each, or take the names out of {path}."
        told = of_files(
            "error", "listed-without-pair", missing[split], f"in {path.name} without image or mask", advice, noun="name"
        )
        found[split] = Matching(pairs, tuple(told))
    if "train" not in found or not found["train"].pairs:  # a text of that name may be about anything
        return None
    where = lists["train"].parent.relative_to(root).as_posix()
    say = f"splits as the files in {'the folder itself' if where == '.' else where} say: "
    say += ", ".join(path.name for path in lists.values())
    left = len(whole.pairs) - len({pair for own in found.values() for pair in own.pairs})
    say += f"; {left} image{'s' * (left != 1)} that none of them lists {'are' if left != 1 else 'is'} left out" * (
        left > 0
    )
    rest = tuple(finding for finding in whole.findings if finding.kind != "image-without-mask")
    return {**found, "train": Matching(found["train"].pairs, (*rest, *found["train"].findings))}, say


def _unused_pictures(root: Path, layout: Layout) -> list[Path]:
    """Folders with pictures beside those that are used."""
    used = [folder for pair in layout.folders.values() for folder in pair if folder is not None]
    beside = sorted({root, *(folder.parent for folder in used if folder != root)})
    return [
        folder
        for parent in beside
        for folder in subfolders(parent).values()
        if folder not in layout.unused
        and not any(one.is_relative_to(folder) or folder.is_relative_to(one) for one in used)
        and files_below(folder, (*IMAGE_SUFFIXES, *MASK_SUFFIXES))
    ]


def _other_masks(layout: Layout, unused: Sequence[Path]) -> list[Finding]:
    """Folders that may as well hold the masks: nobody can tell which are meant but those who made them."""
    images, masks = layout.folders["train"]
    if masks is None or masks == images:
        return []
    above = masks.parent if masks.name.lower() in SPLIT_FOLDERS["train"] else masks
    beside = [folder for folder in unused if folder.parent == above.parent]
    rivals = other_masks(images.parent if above != masks else images, beside)
    return of_files(
        "error",
        "several-masks-folders",
        rivals,
        f"besides {masks} whose pictures look like masks of {images}",
        "Say which are meant: move the other folder out of the data set, or make a new folder with two links, "
        "images and masks (ln -s), to the ones that are.",
        noun="folder",
    )


def _tree(
    matchings: Mapping[str, Matching],
    findings: Iterable[Finding],
    known_classes: Classes | None,
    mask_folders: tuple[Path, ...],
    notes: Iterable[str],
    names: Sequence[str] = (),
) -> Tree:
    matched = [finding for matching in matchings.values() for finding in matching.findings]
    stacked = {split: with_channels(matching.pairs, names) for split, matching in matchings.items()}
    return Tree(
        pairs={split: pairs for split, (pairs, _) in stacked.items()},
        findings=(*findings, *matched, *(finding for _, told in stacked.values() for finding in told)),
        known_classes=known_classes,
        mask_folders=mask_folders,
        notes=(*notes, *channel_note(stacked["train"][0] if "train" in stacked else (), names)),
    )


# ---- the classes


def class_table(
    root: Path, tree: Tree, given: Classes | None, masks: Mapping[Mask, MaskFacts] | None = None
) -> tuple[Classes, str]:
    """The class table and a note that says where it comes from: a file, the caller, the layout, or the masks.

    Args:
        root: the folder of the data set.
        tree: its files.
        given: what the caller takes the classes to be, if anything.
        masks: the facts of the masks; they are read if this is None and nothing else tells the classes.

    Raises:
        DataError: if a class file is wrong, two differ, one names other classes than ``given``, or the masks alone do
            not tell.
    """
    file = class_file(root, tree)
    if file is not None:
        table = read_classes(file)
        origin = f"classes from {file.name}"
        if tree.outlined is not None:
            known = tree.outlined.classes
            table = by_name(table, known, str(file))
            left = [name for name in known.names if name not in table.names]
            origin += f", which leaves out {', '.join(left)}: ignored" if left else ""
        if given is not None:
            same_names(table, given, str(file))
        return table, origin
    if tree.known_classes is not None:
        if given is not None:
            same_names(tree.known_classes, given, str(root))
        return tree.known_classes, tree.outlined.origin if tree.outlined else tree.origin
    if given is not None:
        return given, "no class file: the classes are those asked for"
    if masks is None:
        inferred = infer_classes([mask for pairs in tree.pairs.values() for _, mask in pairs])
    else:
        inferred = classes_of(masks)
    return inferred, f"no class file: {len(inferred)} classes were inferred from the values in the masks"


def class_file(root: Path, tree: Tree) -> Path | None:
    """The class file of a data set; copies of one table count as one.

    Raises:
        DataError: if there are two that differ, or one cannot be read.
    """
    folders = _class_folders(root, tree.mask_folders)
    files = [path for folder in folders for name in CLASS_FILES if (path := folder / name).is_file()]
    for other in files[1:]:
        if read_classes(other) != read_classes(files[0]):
            raise DataError(f"two class files that differ: {files[0]} and {other}. Keep one of them.")
    if tree.outlined is not None:
        return next(iter(files), None)
    others = [path for folder in folders for name in TABLES_OF_OTHERS if is_table_of_others(path := folder / name)]
    for other in others[1:]:
        if other.name == others[0].name and read_classes(other) != read_classes(others[0]):
            raise DataError(f"two tables of classes that differ: {others[0]} and {other}. Export the splits together.")
    return next(iter([*files, *others]), None)


def _class_folders(root: Path, mask_folders: Iterable[Path]) -> list[Path]:
    mask_folders = list(mask_folders)
    return list(dict.fromkeys([root, *mask_folders, *(folder.parent for folder in mask_folders)]))


def _nearly_class_files(root: Path, mask_folders: Iterable[Path]) -> list[Finding]:
    """Files that someone may take for a class file, which are not read."""
    names = ("classes", "class", "class_names", "classnames", "labels", "labelmap", "label_map", "class_dict")
    suffixes = (".json", ".yaml", ".yml", ".txt", ".csv")
    near = [
        path
        for folder in _class_folders(root, mask_folders)
        for path in sorted(folder.iterdir())
        if (
            path.name not in CLASS_FILES
            and not is_table_of_others(path)
            and path.stem.lower() in names
            and path.suffix.lower() in suffixes
        )
        or (path.name in CLASS_FILES and not path.is_file())
    ]
    advice = f"A class file is called {', '.join(CLASS_FILES[:2])} and is a file in one of the forms of docs/data.md."
    return of_files("warning", "class-file-name", near, "not read as a class file", advice, noun="file")
