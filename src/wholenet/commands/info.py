"""``wholenet info``."""

from __future__ import annotations

from wholenet.checked import Classes
from wholenet.commands.answers import write_json
from wholenet.search.config import parse_size
from wholenet.spaces.cell_tables import is_cell_space
from wholenet.spaces.sizes import GRID_SIZES, grid_size


def info(
    size: str,
    *,
    classes: Classes | None = None,
    input: str | None = None,
    operations: str | None = None,
    json: str | None = None,
) -> None:
    """Count the parameters and the arithmetic of a supernet.

    Args:
        size: Size of the grid supernet; a cell space: darts, s1, s2, s3, s4, nb201, dots, or one that was registered;
            or a model of another space by its name: dense-grid-small and the other sizes, autodeeplab-paper,
            autodeeplab-tiny; of pairs of images, autodispnet-full, autodispnet-tiny; of text, recurrent.
        classes: Classes to tell apart; default: 19, or 10. Of text, words of the vocabulary; default: 10000. Disparity
            has none.
        input: HEIGHTxWIDTH of the image, or of each of a pair; default: 1024x2048, or 32x32. Text has none.
        operations: Candidates of each cell, as in fit.
        json: Write the counts to this file.
    """
    in_cells = size not in GRID_SIZES and is_cell_space(size)
    settings = {} if operations is None else {"operations": operations}
    of_other = not in_cells and size not in GRID_SIZES and _is_model(size)
    if of_other and settings:
        raise ValueError(f"--operations are of the grid and the cell spaces; {size} has its own")
    if not in_cells and not of_other:
        grid_size(size)
    name = size if in_cells or of_other else f"grid-{size}"
    from wholenet.jobs.catalog import counted_on  # imports torch
    from wholenet.spaces.count import count

    on = counted_on(name)
    if on.no_outputs and classes is not None:
        raise ValueError(f"--classes: {size} {on.no_outputs}; leave it out")
    if on.no_size and input is not None:
        raise ValueError(f"--input: {size} {on.no_size}; leave it out")
    height, width = parse_size(input or on.size)
    classes = on.outputs if classes is None else classes
    counts = count(name, num_classes=classes, height=height, width=width, **settings)
    print(f"{name}, {on.one.format(outputs=classes, size=f'{height}x{width}')}")
    print(f"parameters   {counts.parameters:14,}   (architecture parameters not included)")
    print(f"architecture {counts.architecture_parameters:14,}")
    print(f"FLOPs        {counts.flops / 1e9:14.3f} G (plain form, as papers count; 2 per multiply-add)")
    print(f"MACs         {counts.macs / 1e9:14.3f} G (plain form)")
    print(f"MACs merged  {counts.macs_merged / 1e9:14.3f} G (as run)")
    write_json(json, vars(counts))


def _is_model(name: str) -> bool:
    """Whether a model of a space that is neither the grid nor a cell space is called so."""
    from wholenet.spaces.catalog import SPACES  # imports torch
    from wholenet.spaces.space import known_names

    return name in known_names(SPACES)
