"""By which labels streams choose a slot."""

from __future__ import annotations

import pytest

from cluster.config import SightlineConfig
from cluster.slot.labels import slot_labels


def test_a_slot_has_the_labels_of_its_node_but_the_one_that_names_it() -> None:
    of_node = {"ray.io/node-id": "f00", "ray.io/accelerator-type": "L4", "site": "north", "x": ""}
    assert slot_labels({}, of_node) == {"ray.io/accelerator-type": "L4", "site": "north"}
    assert slot_labels({}, {"pool": ["gpu"]}) == {"pool": "gpu"}


def test_what_the_configuration_says_counts() -> None:
    assert slot_labels({"site": "south"}, {"site": "north"}) == {"site": "south"}


@pytest.mark.parametrize("labels", [{"a b": "x"}, {"a": ""}, {"a": "x y"}])
def test_a_label_that_no_stream_could_name_is_refused(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="labels"):
        SightlineConfig.model_validate({"slots": {"labels": labels}})


def test_a_ceiling_below_the_floor_is_refused_with_both() -> None:
    with pytest.raises(ValueError, match="min_slots is 3 and max_slots is 2"):
        SightlineConfig.model_validate({"autoscaling": {"min_slots": 3, "max_slots": 2}})
