"""``wholenet export``."""

from __future__ import annotations

from typing import Literal

from wholenet.checked import Dropped
from wholenet.data.task import how_read
from wholenet.search.config import parse_size


def export(
    model: str,
    *,
    format: Literal["onnx", "torch"] = "onnx",
    out: str,
    data: str | None = None,
    drop_below: Dropped | None = None,
    size: str | None = None,
) -> None:
    """Write a trained network as one file that runs without wholenet.

    Args:
        model: Run folder or model folder.
        format: ONNX, or torch's exported program.
        out: File to write.
        data: Data to check the file on; default: the run's, or the scenes. A classifier is checked on random images.
        drop_below: Leave out edges of less weight, and say what that costs in mIoU.
        size: Of a network for disparity: HEIGHTxWIDTH of the pairs that the file takes (384x768).
    """
    from wholenet.deploy.export_stereo import StereoCheck
    from wholenet.deploy.model_folder import task_of_model
    from wholenet.report.data_check import printable
    from wholenet.trained import export

    labels = task_of_model(model) == "classification"

    def begin() -> None:
        if data is not None:
            print(printable(how_read(data, "segmentation")))
        print(f"writing {out}: the network is traced and compared, which may take minutes if it is large", flush=True)

    parsed = None if size is None else parse_size(size)
    check, price = export(model, out, format, data, drop_below=drop_below, size=parsed, begin=begin)
    if isinstance(check, StereoCheck):
        height, width = check.size
        print(
            f"{out}: takes pairs of {height}x{width}; on {check.inputs} of them disparities differ by at most "
            f"{check.max_abs_error:.1e} px (of {check.largest:.3g})"
        )
        return
    if price is not None:
        print(
            f"{price.dropped} of {price.edges} edges dropped: {100 * price.miou_before:.1f} % mIoU before, "
            f"{100 * price.miou_after:.1f} % after, on {price.images} validation images"
        )
        if price.macs_before is not None and price.macs_after is not None:
            print(f"{price.macs_before / 1e6:,.4g} MMACs before, {price.macs_after / 1e6:,.4g} MMACs after")
    compared, what = ("random", "images") if labels else ("random and real", "pixels")
    print(
        f"{out}: on {check.inputs} {compared} inputs logits differ by at most {check.max_abs_error:.1e} (of "
        f"{check.max_abs_logit:.3g}), and {100 * check.same_class:.3f} % of the {what} get the same class"
    )
