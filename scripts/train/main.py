"""Train the detector that ships, from nothing: render, fit, export, quantize, evaluate.

Run from the repository's root, where PyTorch is installed besides Sightline's own requirements::

    PYTHONPATH=. python scripts/train/main.py all --device cuda --minutes 5
    PYTHONPATH=. python scripts/train/main.py all --smoke

Every stage keeps its result in the work folder and goes on from there when it is run again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

STAGES = ("render", "fit", "export", "quantize", "evaluate")
SMOKE = {
    "train_clips": 2,
    "validation_clips": 2,
    "test_clips": 2,
    "clip_seconds": 3.0,
    "test_clip_seconds": 2.0,
    "steps": 20,
    "batch_size": 8,
    "device": "cpu",
    "calibration_frames": 8,
}


def main() -> None:
    """Run the stages that are asked for."""
    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    names = STAGES if options.stage == "all" else (options.stage,)
    stages: dict[str, Callable[[argparse.Namespace], None]] = {
        "render": render,
        "fit": fit,
        "export": export,
        "quantize": quantize,
        "evaluate": evaluate,
    }
    for name in names:
        start = time.monotonic()
        stages[name](options)
        print(f"{name}: done in {time.monotonic() - start:.1f} s", flush=True)


def render(options: argparse.Namespace) -> None:
    """Render the clips of all splits; the test's first, since training can do with fewer."""
    from data import Pace, plan
    from data import render as render_clips

    # Training wants many different pictures, the test what a camera sends.
    learnt = Pace(options.fps, options.clip_seconds, options.keep_every, long_every=4)
    shown = Pace(25, options.test_clip_seconds, 6)
    paces = {"train": learnt, "validation": learnt, "test": shown}

    limit_s = 60 * options.render_minutes
    for split in ("test", "validation", "train"):
        start = time.monotonic()
        clips = plan(split, getattr(options, f"{split}_clips"), paces[split])
        there = render_clips(
            clips, options.work / "clips", num_workers=options.workers, limit_s=limit_s
        )
        limit_s -= time.monotonic() - start
        print(f"render: {there} of {len(clips)} {split} clips are there", flush=True)


def fit(options: argparse.Namespace) -> None:
    """Train on the rendered clips."""
    import torch
    from fit import Settings
    from fit import fit as train
    from network import num_parameters
    from store import load

    from cluster.demo.world import CLASSES

    device = torch.device(options.device)
    splits = [load(options.work / "clips" / name, device) for name in ("train", "validation")]
    print(f"fit: {len(splits[0])} frames to learn from, {len(splits[1])} beside", flush=True)
    settings = Settings(
        limit_s=60 * options.minutes,
        max_steps=options.steps,
        batch_size=options.batch_size,
        rate=options.rate,
        seed=options.seed,
        compiled=options.compile,
    )
    network = train(*splits, len(CLASSES), settings, options.work / "checkpoint.pt")
    print(f"fit: {num_parameters(network)} parameters", flush=True)
    torch.save(network.state_dict(), options.work / "weights.pt")


def export(options: argparse.Namespace) -> None:
    """Write the FP32 model and its spec."""
    from export import export as write_model

    write_model(options.work / "weights.pt", options.out)


def quantize(options: argparse.Namespace) -> None:
    """Choose the thresholds and write the INT8 model."""
    from quantization import choose_thresholds, write_int8

    clips = options.work / "clips"
    best = choose_thresholds(options.out, clips / "validation")
    (options.work / "best_confidence.json").write_text(json.dumps(best))
    write_int8(options.out, clips, options.calibration_frames)


def evaluate(options: argparse.Namespace) -> None:
    """Judge both models on the test clips and write the model card."""
    from evaluate import figures
    from model_card import model_card
    from network import Detector, num_macs, num_parameters
    from specs import read_spec

    from cluster.demo.world import CLASSES
    from engines.spec import Precision

    network = Detector(len(CLASSES))
    best = json.loads((options.work / "best_confidence.json").read_text())
    values: dict[str, object] = {
        "parameters": num_parameters(network),
        "gflops": round(2e-9 * num_macs(network, 192, 320), 3),
    }
    for precision in (Precision.FP32, Precision.INT8):
        spec = read_spec(precision, options.out)
        values[precision.value] = figures(spec, options.work / "clips" / "test", best)
        print(json.dumps(values[precision.value], indent=1), flush=True)
    (options.out / "figures.json").write_text(json.dumps(values, indent=1) + "\n")
    command = (
        "PYTHONPATH=. python scripts/train/main.py all"
        f" --render-minutes {options.render_minutes:g} --train-clips {options.train_clips}"
        f" --minutes {options.minutes:g}"
    )
    (options.out / "MODEL_CARD.md").write_text(model_card(values, CLASSES, command))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("stage", choices=(*STAGES, "all"))
    parser.add_argument(
        "--work", type=Path, default=Path("/tmp/sightline-train"), help="clips etc."
    )
    parser.add_argument("--out", type=Path, default=Path("engines/models"), help="what ships")
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    parser.add_argument("--smoke", action="store_true", help="a minute's try on a CPU")
    _add_render_options(parser)
    _add_fit_options(parser)
    options = parser.parse_args()
    if options.smoke:
        vars(options).update(SMOKE)
    return options


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _add_render_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=_num_cores(), help="rendering processes")
    parser.add_argument("--render-minutes", type=float, default=3.0, help="stop rendering then")
    parser.add_argument("--train-clips", type=int, default=1600)
    parser.add_argument("--validation-clips", type=int, default=30)
    parser.add_argument("--test-clips", type=int, default=45)
    parser.add_argument("--clip-seconds", type=float, default=6.0, help="of training clips")
    parser.add_argument("--test-clip-seconds", type=float, default=6.0)
    parser.add_argument("--fps", type=int, default=4, help="of training clips")
    parser.add_argument("--keep-every", type=int, default=1, help="keep one frame of so many")


def _add_fit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=5.0, help="training time")
    parser.add_argument("--steps", type=int, default=0, help="end after so many, 0 for no limit")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    parser.add_argument("--calibration-frames", type=int, default=128)


if __name__ == "__main__":
    main()
