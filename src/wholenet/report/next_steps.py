"""What to try after a run on images with masks: a few sentences, from what its records say."""

from __future__ import annotations

from wholenet.search.read_run import RunTables
from wholenet.search.run_folder import RunFolder

RISE = 0.01
"""Between the last two validations: a run whose score rose by so much was not at its end."""
FALL = 0.02
"""From the best validation to the last: a run whose score fell by so much has learned its training images by heart."""
FEW_STEPS = 1000
"""A plan takes the largest network that has time for so many (``planning/rules.py``)."""
ABOVE = 0.01
"""Over the best constant answer: less is no better than it."""


def next_steps(run: RunTables) -> list[str]:
    """What to try next, the most pressing first; nothing of other tasks, or before anything was scored."""
    own = run.results[0]
    scores = [(record["epoch"] + 1, record["miou"]) for record in run.records if record.get("miou") is not None]
    if run.task != "segmentation" or not scores or own["epochs"] < own["planned"]:
        return []
    reached, constant = max(score for _, score in scores), own.get("constant_miou")
    said = list[str]()
    data, at = run.config["data"], run.path
    # The training of a genotype has no plan.
    more = "--minutes" if run.config["genotype"] is None else "--epochs"
    if constant is not None and reached < constant + ABOVE:
        said.append(
            "The network is no better than one constant answer: look at predictions.png and at the masks (`wholenet "
            f"check-data {data}`), and give it more time ({more})."
        )
    elif len(scores) > 1 and scores[-1][1] - scores[-2][1] >= RISE:
        said.append(
            f"The score still rose by {100 * (scores[-1][1] - scores[-2][1]):.1f} points in the last validation: give "
            f"the run more time, or go on from here (`{_same_network(run)} --init {at} {more} N`)."
        )
    elif reached - scores[-1][1] >= FALL:
        epoch = max(scores, key=lambda one: one[1])[0]
        said.append(
            f"The score fell by {100 * (reached - scores[-1][1]):.1f} points after epoch {epoch}, as the network "
            "learned its training images by heart. More images help most; else augmentation (--rotate, --elastic, and "
            "--quarter-turns where images have no up), or a smaller --size."
        )
    steps = own["epochs"] * run.config["steps_per_epoch"]  # 0 where the data says how many
    if not said and 0 < steps < FEW_STEPS:
        said.append(
            f"Its {steps:,} step{'s' * (steps > 1)} are few; a network like this learns for {FEW_STEPS:,} and more: "
            f"give it more time ({more})."
        )
    if all(run.config[name] is None for name in ("stem", "init", "budget", "genotype")) and _photo(run):
        said.append(
            f"Of photographs, a pretrained encoder may know more: `wholenet fit {data} --minutes N --stem "
            "timm/tf_efficientnet_lite0` (pip install 'wholenet[timm]')."
        )
    if not said:
        said.append(f"More time ({more}) or another --seed shows how far the score can be trusted.")
    return said


def _same_network(run: RunTables) -> str:
    """The command that trains a network like that of the run; of the grid `--init` says which."""
    config = run.config
    settings = config["settings"] if config["space"] != "grid" else {"size": config["size"]}
    if config["genotype"] is not None:
        command = f"wholenet retrain {config['genotype']} {config['data']}"
    elif config["space"] == "grid":
        return f"wholenet fit {config['data']}"
    else:
        command = f"wholenet fit {config['data']} --space {config['space']}"
    return command + "".join(f" --{name.replace('_', '-')} {value}" for name, value in settings.items())


def _photo(run: RunTables) -> bool:
    """Whether the images are such that a pretrained encoder takes them, and the network one that may have it."""
    return run.config["space"] == "grid" and "pixels" not in (RunFolder(run.path).environment() or {})
