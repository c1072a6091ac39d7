from assistant.api import open_ct
from tests.assistant.small_scenes import box_ct, box_masks
from tests.fakes import LabelMapSegmenter


def test_denser_is_answered_with_attenuation_not_volume() -> None:
    masks = box_masks()
    conversation = open_ct(box_ct(masks), segmenter=LabelMapSegmenter(masks))
    answer = conversation.ask("Which is denser, the liver or the spleen?")
    assert "HU" in answer.text
    assert "mL" not in answer.text
    assert answer.record.dropped == ()
