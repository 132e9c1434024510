"""All frames of a split as tensors on one device, so that no loader stands between them and it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from data import Clip, read_clip
from torch import Tensor


@dataclass(frozen=True, slots=True)
class FrameStore:
    """Frames and their objects; M is the largest number of objects in a frame.

    Attributes:
        planes: Packed yuv420p pictures, uint8 ``[N, 345600]``.
        boxes: Source pixels, float32 ``[N, M, 4]``.
        class_id: int64 ``[N, M]``, -1 where there is no object.
        ignore: bool ``[N, M]``.
    """

    planes: Tensor
    boxes: Tensor
    class_id: Tensor
    ignore: Tensor

    def __len__(self) -> int:
        return len(self.planes)


def load(folder: Path, device: torch.device) -> FrameStore:
    """Read every clip of a split's folder, in order of seeds.

    Raises:
        FileNotFoundError: if there is no clip.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"no clips in {folder}: run the render stage first")
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda path: _of_clip(read_clip(path), device), paths))
    most = max(store.boxes.shape[1] for store in stores)
    padded = [_widened(store, most) for store in stores]
    fields = FrameStore.__slots__
    return FrameStore(*(torch.cat([getattr(store, name) for store in padded]) for name in fields))


def _of_clip(clip: Clip, device: torch.device) -> FrameStore:
    num, most = len(clip.counts), max(1, int(clip.counts.max()))
    boxes = np.zeros((num, most, 4), dtype=np.float32)
    class_id = np.full((num, most), -1, dtype=np.int64)
    ignore = np.zeros((num, most), dtype=bool)
    filled = np.arange(most)[None, :] < clip.counts[:, None]
    boxes[filled], class_id[filled], ignore[filled] = clip.xyxy, clip.class_id, clip.ignore
    arrays = (clip.planes, boxes, class_id, ignore)
    return FrameStore(*(torch.from_numpy(array).to(device) for array in arrays))


def _widened(store: FrameStore, num_objects: int) -> FrameStore:
    more = num_objects - store.boxes.shape[1]
    pad = torch.nn.functional.pad
    return FrameStore(
        store.planes,
        pad(store.boxes, (0, 0, 0, more)),
        pad(store.class_id, (0, more), value=-1),
        pad(store.ignore, (0, more)),
    )
