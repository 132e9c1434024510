"""The model card: what the detector is for, what it is not for, and how well it does."""

from __future__ import annotations

from typing import Any

TEXT = """\
# Model card: traffic-yolox

A small detector of cars, lorries, motorcycles and pedestrians in Sightline's synthetic world. It
makes the demo and the tests run with a real model, on any machine. Written by `scripts/train`.

| | FP32 | INT8 (Q/DQ) |
| --- | --- | --- |
| file | `traffic-yolox-fp32.onnx` | `traffic-yolox-int8.onnx` |
| spec | `traffic-yolox-fp32.yaml` | `traffic-yolox.yaml`, the default on a CPU |
| size | {fp32[size]} | {int8[size]} |
| mAP at IoU 0.50 | {fp32[map50]:.4f} | {int8[map50]:.4f} |
| mAP at IoU 0.75 | {fp32[map75]:.4f} | {int8[map75]:.4f} |
| ms a picture, model alone | {fp32[ms_inference]:.2f} | {int8[ms_inference]:.2f} |
| ms a picture from 640x360 planes to boxes | {fp32[ms_median]:.2f} | {int8[ms_median]:.2f} |

- **Network**: YOLOX kind (arXiv 2107.08430), anchor-free, strides 8, 16 and 32, dense convolutions
  and ReLU; {parameters:,} parameters, {gflops:.3f} GFLOPs (two for each multiply-accumulate).
- **Input**: `images` float32 [N, 3, 192, 320], RGB, 0..255, letterboxed at the top left with 114.
- **Output**: `output` float32 [N, 1260, 9]: cx, cy, w, h raw, objectness, four classes.
- **Labels**: {labels}.
- **INT8**: weights of 7 bits with a scale for each channel, activations of 8 bits, ranges from
  pictures of the training clips. CPUs without VNNI add two products in 16 bits, which 8-bit weights
  saturate: there such a file loses lorries. The stem, what smooths the pyramid and the last two
  layers of the heads stay in floating point, for the sake of where boxes lie.
- **Licence**: Apache-2.0, as the project's.

## What it is for

Sightline's demo, its tests, and benchmarks of everything around a model.

## What it is not for

Real streets. It has seen only drawn ones, of the views that the demo shows, and does not know what
a photograph looks like. It must not be used to watch people or to decide anything about them.
For real cameras bring a detector that was trained on real pictures.

## Data

Pictures of `cluster/demo/world`, rendered by seed, encoded with H.264 at CRF 18 to 34 and decoded
again: every view by day, at dusk and at night, at densities 0.5 to 1.6. Nothing else, and no
pictures of others. Seeds: training 1,000 to 7,999, validation 8,000 to 8,999, test from 10,000 on;
the demo's default cameras start at 0. Objects that the world marks as too small or too hidden are
not scored; of these, what is at least 7 pixels high and a quarter visible is learnt. Frames with
lorries come up oftener.

## How well it does

Measured through Sightline's own engine (ONNX Runtime on the CPU) on {fp32[frames]:,} frames of
{fp32[clips]} clips with {fp32[objects]:,} objects, of seeds it has not seen; average precision is
the area under the curve at IoU 0.50. Precision and recall are those of the INT8 model at
confidence {int8[confidence]:.2f} and suppression at IoU {int8[iou]:.2f}, which were
best on the validation clips. All are of each class for itself; the specs also drop the less sure of
two boxes of two classes that overlap by more than {int8[iou_across]:.2f}, and of boxes of cars
and lorries that lie inside each other.
Times are of one thread of the machine that measured.

The specs say confidence {int8[spec_confidence]:.2f}, not {int8[confidence]:.2f}, on purpose:
the tracker keeps tracks alive with unsure detections too, and begins new ones at 0.6 only.
Without a tracker use {int8[confidence]:.2f}.

{classes}

{places}

## Train it again

    {command}
"""

CLASS_HEAD = """\
| class | objects | AP50 FP32 | AP50 INT8 | precision | recall |
| --- | --- | --- | --- | --- | --- |
"""

PLACE_HEAD = """\
| view or time of day | mAP50 FP32 | mAP50 INT8 |
| --- | --- | --- |
"""


def model_card(values: dict[str, Any], labels: tuple[str, ...], command: str) -> str:
    """Fill the card.

    Args:
        values: ``fp32`` and ``int8``, each as ``evaluate.figures`` gives them, ``parameters`` and
            ``gflops``.
        labels: Class names in order.
        command: What trains the model again.
    """
    both = {
        name: {**values[name], "size": f"{values[name]['size_bytes'] / 1e6:.2f} MB"}
        for name in ("fp32", "int8")
    }
    return TEXT.format(
        **both,
        parameters=values["parameters"],
        gflops=values["gflops"],
        labels=", ".join(f"{i} {label}" for i, label in enumerate(labels)),
        classes=CLASS_HEAD + _class_rows(both).rstrip(),
        places=PLACE_HEAD + _place_rows(both).rstrip(),
        command=command,
    )


def _class_rows(both: dict[str, Any]) -> str:
    rows = ""
    for label, fp32 in both["fp32"]["classes"].items():
        int8 = both["int8"]["classes"][label]
        rows += (
            f"| {label} | {fp32['objects']:,} | {fp32['ap50']:.4f} | {int8['ap50']:.4f} "
            f"| {int8['precision']:.4f} | {int8['recall']:.4f} |\n"
        )
    return rows


def _place_rows(both: dict[str, Any]) -> str:
    return "".join(
        f"| {name} | {value:.4f} | {both['int8'][field][name]:.4f} |\n"
        for field in ("views", "times_of_day")
        for name, value in both["fp32"][field].items()
    )
