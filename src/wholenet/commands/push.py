"""``wholenet push``."""

from __future__ import annotations


def push(
    model: str,
    name: str,
    *,
    public: bool = False,
    license: str | None = None,
    no_picture: bool = False,
    dry_run: str | None = None,
) -> None:
    """Upload a trained network to the Hugging Face hub, with a card that says what it is and how good.

    Args:
        model: Run folder or model folder. Only a run knows its control, its data and its picture.
        name: Where to: USER/NAME.
        public: Let all see it; default: a repository that is made now is private.
        license: Of the weights, as the hub calls it: apache-2.0, cc-by-4.0, ...; default: unknown.
        no_picture: Leave out the picture, which shows four validation images.
        dry_run: Upload nothing; write what would be uploaded into this new folder.
    """
    from wholenet.inspection import push

    place = push(model, name, public=public, license=license, picture=not no_picture, dry_run=dry_run)
    if dry_run is not None:
        print(f"open {place}/README.md; nothing was uploaded")
        return
    print(f"{place}\nwholenet predict hf://{name.removeprefix('hf://')} IMAGES --out masks/")
