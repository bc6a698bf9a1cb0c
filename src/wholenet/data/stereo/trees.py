"""Which files of a folder make pairs of images with their disparity: the arrangements that are known by sight.

Sources: the README files of KITTI 2012 and 2015, SceneFlow (Driving, Monkaa, FlyingThings3D), Middlebury's stereo pages
(2001 to 2021), ETH3D, which has Middlebury's names, and MPI Sintel's stereo package.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from wholenet.data.finding import EXAMPLES, Finding, of_files
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.layouts import SPLIT_FOLDERS, one_of, split_folders
from wholenet.data.naming import composed
from wholenet.data.sample import DataError

LEFT = ("left", "image_left", "images_left", "left_image", "left_images")
RIGHT = ("right", "image_right", "images_right", "right_image", "right_images")
TRUTH = ("disparity", "disparities", "disp", "disparity_left", "disp_left", "left_disparity")
RIGHT_TRUTH = ("disparity_right", "disp_right", "right_disparity")
TRUTH_SUFFIXES = (".pfm", ".png", ".npy", ".npz")
KITTI = (
    ("KITTI 2015", "image_2", "image_3", "disp_occ_0", "disp_noc_0"),
    ("KITTI 2012", "colored_0", "colored_1", "disp_occ", "disp_noc"),
    ("KITTI 2012, in grey", "image_0", "image_1", "disp_occ", "disp_noc"),
)
PASSES = ("frames_cleanpass", "frames_finalpass")
SCENE_FILES = (
    ("im0", "im1", ("disp0GT", "disp0"), ("disp1GT", "disp1")),
    ("view1", "view5", ("disp1",), ("disp5",)),
    ("im2", "im6", ("disp2",), ("disp6",)),
)
"""Left, right and their truths in Middlebury's scenes: of 2014, 2021, its evaluation; of 2005, 2006; of 2001, 2003."""
SINTEL = (("clean_left", "clean_right"), ("final_left", "final_right"))
MOST_LOOKED_INTO = 5
"""Folders of a folder that are looked into to tell Middlebury's arrangement."""
KNOWN = """Accepted layouts of pairs with disparity (by equal names; .pfm, 16-bit .png, .npy or .npz):
  left/a.png, right/a.png, disparity/a.pfm   with train/, val/, test/ above or below, or without (val is a part)
  training/image_2, image_3, disp_occ_0 [, disp_noc_0]       (KITTI 2015; 2012: colored_0, colored_1, disp_occ)
  frames_cleanpass or frames_finalpass/.../left, right; disparity/.../left/*.pfm                     (SceneFlow)
  SCENE/im0.png, im1.png, disp0.pfm or disp0GT.pfm [, mask0nocc.png]                        (Middlebury, ETH3D)
  training/clean_left, clean_right or final_...; disparities [, occlusions, outofframe]                (Sintel)"""

Sight = Literal["truth", "mask", "hidden"]


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair."""

    key: str
    """Where it is in its split, without suffix: "A/0000/0006"."""
    left: Path
    right: Path
    truth: Path
    right_truth: Path | None = None
    """That of the right image, where there is one."""
    of_sintel: bool = False
    """Whether the truth is in Sintel's colours."""
    either_sign: bool = False
    """Whether signs in the truth mean nothing."""
    sight: Sight = "truth"
    """What ``seen_in`` says: truth of visible pixels alone, a mask of 255 there, or masks of 0 there."""
    seen_in: tuple[Path, ...] = ()
    """Files that say which pixels the right image sees."""
    scene: str = ""
    """Pairs of one scene stay on one side where val is taken from train."""


@dataclass(frozen=True)
class StereoTree:
    """The pairs of a data set."""

    told: str
    """The arrangement, for people."""
    splits: Mapping[str, Sequence[PairFiles]]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Folders:
    """Where the files of one split are."""

    left: Path
    right: Path
    truth: Path | None
    seen: tuple[Path, ...] = ()
    right_truth: Path | None = None


@dataclass(frozen=True)
class _Layout:
    """An arrangement, found by the names of folders."""

    told: str
    splits: Mapping[str, _Folders]
    sparse: bool = False
    """Whether there may be images without truth."""
    of_sintel: bool = False
    either_sign: bool = False
    sight: Sight = "truth"
    notes: tuple[str, ...] = ()


# ---- by the names of folders


def looks_like_stereo(where: str | Path) -> bool:
    """Whether a folder is of pairs with disparity by the names in it, without being asked."""
    root = Path(where).expanduser()
    if not root.is_dir():
        return False
    if not _folders_in(root):  # seen without a look at each of perhaps many files
        return _scene_files(root) is not None
    try:
        layout = _layout(root)
    except DataError:
        return True  # two of one kind: what is read says so
    if layout is not None:
        return any(folders.truth is not None for folders in layout.splits.values())
    return any(_scene_files(scene) for scene in _scene_folders(root, MOST_LOOKED_INTO))


def _layout(root: Path) -> _Layout | None:
    return _sintel(root) or _scene_flow(root) or _kitti(root) or _plain(root)


def _plain(root: Path) -> _Layout | None:
    """left, right and disparity, with the folders of splits above or below them, or without."""
    splits = {}
    for split, folder in split_folders(root).items():
        left, right = one_of(folder, LEFT), one_of(folder, RIGHT)
        if left and right:
            splits[split] = _Folders(left, right, one_of(folder, TRUTH), right_truth=one_of(folder, RIGHT_TRUTH))
    if splits:
        return _Layout("left, right and disparity in each split", splits)
    left, right, truth, other = (one_of(root, names) for names in (LEFT, RIGHT, TRUTH, RIGHT_TRUTH))
    if left is None or right is None:
        return None
    inner = {kind: split_folders(folder) for kind, folder in (("left", left), ("right", right))}
    if not inner["left"]:
        return _Layout("left, right and disparity", {"train": _Folders(left, right, truth, (), other)})
    truths, others = ({} if folder is None else split_folders(folder) for folder in (truth, other))
    splits = {
        split: _Folders(
            folder, inner["right"].get(split, right / folder.name), truths.get(split), (), others.get(split)
        )
        for split, folder in inner["left"].items()
    }
    return _Layout("left, right and disparity, the splits in each", splits)


def _kitti(root: Path) -> _Layout | None:
    tops = {"train": _child(root, "training") or root, "test": _child(root, "testing")}
    for told, left, right, truth, seen in KITTI:
        splits = {}
        for split, top in tops.items():
            if top is not None and (top / left).is_dir() and (top / right).is_dir():
                own = top / truth if (top / truth).is_dir() else None
                splits[split] = _Folders(top / left, top / right, own, tuple(filter(Path.is_dir, [top / seen])))
        if any(folders.truth for folders in splits.values()):
            return _Layout(told, splits, sparse=True)
    return None


def _scene_flow(root: Path) -> _Layout | None:
    truth = root / "disparity"
    passes = [root / name for name in PASSES if (root / name).is_dir()]
    if not truth.is_dir() or not passes:
        return None
    splits = {
        split: _Folders(folder, folder, truth / folder.name if (truth / folder.name).is_dir() else None)
        for split, folder in split_folders(passes[0]).items()
    } or {"train": _Folders(passes[0], passes[0], truth)}
    return _Layout("SceneFlow", splits, sparse=True, either_sign=True, notes=_other_pass(passes))


def _sintel(root: Path) -> _Layout | None:
    top = _child(root, "training") or root
    truth = top / "disparities"
    passes = [top / left for left, right in SINTEL if (top / left).is_dir() and (top / right).is_dir()]
    if not truth.is_dir() or not passes:
        return None
    right = dict(SINTEL)[passes[0].name]
    seen = tuple(folder for folder in (top / "occlusions", top / "outofframe") if folder.is_dir())
    splits = {"train": _Folders(passes[0], top / right, truth, seen)}
    return _Layout("Sintel", splits, sparse=True, of_sintel=True, sight="hidden", notes=_other_pass(passes))


def _other_pass(passes: Sequence[Path]) -> tuple[str, ...]:
    if len(passes) < 2:
        return ()
    return (f"{passes[0].name} is read, {passes[1].name} is not: take the first away to read the second",)


def _child(root: Path, name: str) -> Path | None:
    return root / name if (root / name).is_dir() else None


# ---- by the names of files


def find_tree(root: Path) -> StereoTree:
    """The pairs of the folder ``root``.

    Raises:
        DataError: if it is none, has no known arrangement, or no train split with truth.
    """
    if not root.is_dir():
        problem = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {problem}. Give a folder.\n{KNOWN}")
    layout = _layout(root)
    tree = _of_scenes(root) if layout is None else _of_folders(root, layout)
    if tree is None:
        names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in islice(root.iterdir(), 20))
        raise DataError(f"{root} has no known layout; found there: {', '.join(names) or 'nothing'}.\n{KNOWN}")
    if "train" not in tree.splits:
        if tree.findings:
            raise DataError(str(tree.findings[0]))
        found = ", ".join(tree.splits) or "none"
        raise DataError(f"{root} has no train split with disparity; it has {found}.\n{KNOWN}")
    return tree


def _of_folders(root: Path, layout: _Layout) -> StereoTree:
    splits, findings, notes = {}, [], list(layout.notes)
    for split, folders in layout.splits.items():
        if folders.truth is None:
            if split != "test":
                what = f"{split} has no folder of disparity beside {folders.left} and {folders.right}"
                findings.append(Finding("error", "no-disparity", what, f"Add one, called {TRUTH[0]}.\n{KNOWN}"))
            else:
                notes.append(f"test is left out: it has no disparity beside {folders.left.relative_to(root)}")
            continue
        pairs, found = _matched(layout, folders)
        findings += found
        if pairs or split == "train":
            splits[split] = pairs
    return StereoTree(layout.told, splits, tuple(findings), tuple(notes))


def _matched(layout: _Layout, folders: _Folders) -> tuple[list[PairFiles], list[Finding]]:
    assert folders.truth is not None
    both = folders.left == folders.right
    lefts, found = _keyed(folders.left, IMAGE_SUFFIXES, "left" if both else None)
    rights, more = _keyed(folders.right, IMAGE_SUFFIXES, "right" if both else None)
    truths, still = _keyed(folders.truth, TRUTH_SUFFIXES, "left" if both else None)
    findings = [*found, *more, *still, *_lonely(lefts, rights, truths, folders, sparse=layout.sparse)]
    seen = [_keyed(folder, TRUTH_SUFFIXES, None)[0] for folder in folders.seen]
    other = folders.truth if both else folders.right_truth
    others = {} if other is None else _keyed(other, TRUTH_SUFFIXES, "right" if both else None)[0]
    pairs = [
        PairFiles(
            key=key,
            left=left,
            right=rights[key],
            truth=truths[key],
            right_truth=others.get(key),
            of_sintel=layout.of_sintel,
            either_sign=layout.either_sign,
            sight=layout.sight,
            seen_in=tuple(files[key] for files in seen if key in files),
            scene=key.rpartition("/")[0],
        )
        for key, left in lefts.items()
        if key in rights and key in truths
    ]
    return pairs, findings


def _keyed(folder: Path, suffixes: tuple[str, ...], side: str | None) -> tuple[dict[str, Path], list[Finding]]:
    """Place below ``folder``, without suffix -> file; where ``side`` is given, of files in a folder called so alone,
    whose name is left out."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in files_below(folder, suffixes):
        place = composed(path.relative_to(folder).with_suffix(""))
        if side is not None:
            if place.parent.name != side:
                continue
            place = place.parent.parent / place.name
        found[place.as_posix()].append(path)
    twice = [", ".join(map(str, paths)) for paths in found.values() if len(paths) > 1]
    findings = []
    if twice:
        what = f"several files of one name: {'; '.join(twice[:EXAMPLES])}"
        findings.append(Finding("error", "several-files", what, "Keep one of them.", count=len(twice)))
    return {key: paths[0] for key, paths in found.items()}, findings


def _lonely(
    lefts: Mapping[str, Path], rights: Mapping[str, Path], truths: Mapping[str, Path], at: _Folders, *, sparse: bool
) -> list[Finding]:
    """Files without a partner."""
    if not lefts and not rights:
        what = f"no images ({', '.join(IMAGE_SUFFIXES)}) in {at.left} and {at.right}"
        return [Finding("error", "no-images", what, KNOWN)]
    add = "Searched by the same name below {}. Add it, or take this file out of the data set."
    alone = {
        kind: [path for key, path in one.items() if key not in other and (not sparse or key in truths)]
        for kind, one, other in (("left", lefts, rights), ("right", rights, lefts))
    }
    bare = [path for key, path in lefts.items() if key in rights and key not in truths]
    lost = [path for key, path in truths.items() if key not in lefts and key not in rights]
    return [
        *of_files("error", "left-without-right", alone["left"], "left without right", add.format(at.right)),
        *of_files("error", "right-without-left", alone["right"], "right without left", add.format(at.left)),
        *(
            of_files("note", "pair-without-truth", bare, "without disparity, not read", "", noun="left image")
            if sparse
            else of_files("error", "pair-without-truth", bare, "without disparity", add.format(at.truth))
        ),
        *of_files("error", "truth-without-pair", lost, "without images", add.format(at.left), noun="disparity file"),
    ]


# ---- Middlebury: a folder for each scene


def _scene_folders(root: Path, most: int | None = None) -> list[Path]:
    """Folders that may be scenes: the folder itself, those in it, and those in these; at most so many of each."""
    below = _folders_in(root)[:most]
    return [root, *below, *(inner for folder in below for inner in _folders_in(folder)[:most])]


def _folders_in(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:  # which knows what is a folder without a look at each file
        return sorted(folder / entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _scene_files(scene: Path) -> tuple[Path, Path, Path, Path | None] | None:
    """Left, right and their truths in a scene; None if it is none."""
    for left, right, truths, others in SCENE_FILES:
        found = [_first(scene, (name,), IMAGE_SUFFIXES) for name in (left, right)]
        found.append(_first(scene, truths, TRUTH_SUFFIXES))
        if found[0] is not None and found[1] is not None and found[2] is not None:
            return found[0], found[1], found[2], _first(scene, others, TRUTH_SUFFIXES)
    return None


def _first(scene: Path, names: Sequence[str], suffixes: Sequence[str]) -> Path | None:
    files = (scene / f"{name}{suffix}" for name in names for suffix in suffixes)
    return next((file for file in files if file.is_file()), None)


def _of_scenes(root: Path) -> StereoTree | None:
    splits: dict[str, list[PairFiles]] = defaultdict(list)
    for scene in _scene_folders(root):
        files = _scene_files(scene)
        if files is not None:
            key = scene.relative_to(root).as_posix() if scene != root else scene.resolve().name
            seen = tuple(filter(Path.is_file, [scene / "mask0nocc.png"]))
            splits[_split_of(scene, root)].append(PairFiles(key, *files, sight="mask", seen_in=seen, scene=key))
    if not splits:
        return None
    ordered = {split: splits[split] for split in SPLIT_FOLDERS if split in splits}
    return StereoTree("a folder for each scene, with Middlebury's names", ordered)


def _split_of(scene: Path, root: Path) -> str:
    """By the name of the folder above, which Middlebury ends in the size: trainingH."""
    above = scene.parent.name.lower() if scene.parent != root and scene != root else ""
    return next((split for split, names in SPLIT_FOLDERS.items() if above.startswith(names)), "train")
