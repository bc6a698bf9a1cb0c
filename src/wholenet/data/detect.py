"""From the place of a data set to the data set: its layout, its classes, its splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wholenet.data.camvid import CAMVID
from wholenet.data.cityscapes import CITYSCAPES, cityscapes_pairs
from wholenet.data.classes import CLASS_FILES, read_classes, same_names
from wholenet.data.folder import MASK_SUFFIXES, FolderData, Pair, files_below, pair_up
from wholenet.data.infer import infer_classes
from wholenet.data.layouts import KNOWN_LAYOUTS, describe, find_layout, is_cityscapes
from wholenet.data.sample import Classes, DataError, DataSource
from wholenet.data.scenes import open_scenes
from wholenet.data.splits import seeded_order, share_count

BUILT_IN = "scenes"
"""The name that stands for the built-in data set; a folder of that name is "./scenes"."""


def open_data(
    where: str | Path,
    *,
    val_share: float = 0.2,
    seed: int = 0,
    classes: Classes | None = None,
) -> DataSource:
    """Open the built-in data set "scenes", or a folder of images and masks in any of the layouts known by sight.

    Args:
        where: "scenes", or a folder (one called scenes is reached as "./scenes").
        val_share: how much of train becomes val if there is no val split.
        seed: which part that is, and which scenes there are.
        classes: the classes to read the masks by if there is no class file; if there is one, it must name the same.

    Raises:
        DataError: if the folder is none, has no known layout, or its images, masks and classes do not fit together.
        ValueError: if a val split must be made and ``val_share`` is not between 0 and 1.
    """
    if where == BUILT_IN:
        source = open_scenes(seed=seed)
        if classes is not None:
            same_names(source.classes, classes, BUILT_IN)
        return source
    root = Path(where).expanduser()
    _require_folder(root)
    tree = _cityscapes_tree(root) if is_cityscapes(root) else _folder_tree(root)
    pairs, notes = _with_val(root, tree.pairs, val_share, seed)
    table, origin = _class_table(root, tree, classes)
    splits = {name: FolderData(own, table) for name, own in pairs.items()}
    return DataSource(root.resolve().name, table, splits, (*tree.notes, *notes, origin))


# ---- the tree of files


@dataclass(frozen=True)
class _Tree:
    """The files of a data set, before its masks mean anything."""

    pairs: Mapping[str, list[Pair]]
    """Split -> images with masks; "train" always."""
    known_classes: Classes | None = None
    """The classes that this arrangement of folders implies."""
    mask_folders: tuple[Path, ...] = ()
    """Where a class file may lie, besides the root."""
    notes: tuple[str, ...] = ()


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        problem = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f'{root} {problem}. Give a folder, or "scenes" for the built-in data.\n{KNOWN_LAYOUTS}')


def _cityscapes_tree(root: Path) -> _Tree:
    note = "test is left out: the labels of Cityscapes' test images are not public"
    notes = (note,) if (root / "leftImg8bit" / "test").is_dir() else ()
    return _Tree(cityscapes_pairs(root), known_classes=CITYSCAPES, notes=notes)


def _folder_tree(root: Path) -> _Tree:
    layout = find_layout(root)
    if layout is None:
        raise DataError(f"{root} has no layout that wholenet knows; {describe(root)}\n{KNOWN_LAYOUTS}")
    if "train" not in layout.folders:
        raise DataError(f"{root} has no train split, only {', '.join(layout.folders)}.\n{KNOWN_LAYOUTS}")
    notes = [f"{path} is not used: its name is no split's" for path in layout.unused]
    pairs = {}
    for split, (images, masks) in layout.folders.items():
        if split == "test" and (masks is None or not files_below(masks, MASK_SUFFIXES)):
            notes.append(f"test is left out: {images} has no masks")
        elif masks is None:
            raise DataError(f"{images}: no folder of masks belongs to these images.\n{KNOWN_LAYOUTS}")
        else:
            pairs[split] = pair_up(images, masks)
    mask_folders = tuple(masks for _, masks in layout.folders.values() if masks)
    return _Tree(pairs, CAMVID if layout.segnet_names else None, mask_folders, tuple(notes))


def _with_val(
    root: Path, pairs: Mapping[str, list[Pair]], val_share: float, seed: int
) -> tuple[dict[str, list[Pair]], tuple[str, ...]]:
    """The splits, val taken from train where it is missing, with a note that says so."""
    if "val" in pairs:
        return dict(pairs), ()
    by_name = {pair[0].relative_to(root).as_posix(): pair for pair in pairs["train"]}
    count = share_count(len(by_name), val_share, "train, of which a part must become val")
    chosen = set(seeded_order(by_name, seed)[:count])
    divided = {
        "train": [pair for name, pair in by_name.items() if name not in chosen],
        "val": [pair for name, pair in by_name.items() if name in chosen],
    }
    note = (
        f"no val split: {count} of the {len(by_name)} images of train were set aside for it "
        f"(val_share={val_share}, seed={seed})"
    )
    return {**divided, **{split: own for split, own in pairs.items() if split != "train"}}, (note,)


# ---- the classes


def _class_table(root: Path, tree: _Tree, given: Classes | None) -> tuple[Classes, str]:
    """The class table and a note that says where it comes from: a file, the caller, the layout, or the masks."""
    file = _class_file([root, *tree.mask_folders, *(folder.parent for folder in tree.mask_folders)])
    if file is not None:
        table = read_classes(file)
        if given is not None:
            same_names(table, given, str(file))
        return table, f"classes from {file.name}"
    if tree.known_classes is not None:
        if given is not None:
            same_names(tree.known_classes, given, str(root))
        return tree.known_classes, "no class file: the classes are those the folders' names imply"
    if given is not None:
        return given, "no class file: the classes are those asked for"
    inferred = infer_classes([mask for pairs in tree.pairs.values() for _, mask in pairs])
    return inferred, f"no class file: {len(inferred)} classes were inferred from the values in the masks"


def _class_file(folders: Iterable[Path]) -> Path | None:
    """The class file in one of these folders; copies of one table count as one."""
    files = [folder / name for folder in dict.fromkeys(folders) for name in CLASS_FILES if (folder / name).is_file()]
    for other in files[1:]:
        if read_classes(other) != read_classes(files[0]):
            raise DataError(f"two class files that differ: {files[0]} and {other}. Keep one of them.")
    return files[0] if files else None
