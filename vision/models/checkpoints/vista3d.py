"""VISTA3D's automatic branch: MONAI's encoder, the decoder for class questions, and the class head; no clicks."""

from __future__ import annotations

from monai.networks.nets.segresnet_ds import SegResNetDS2
from monai.networks.nets.vista3d import ClassMappingClassify
from torch import Tensor, nn

from vision.models.checkpoints.classes import VISTA3D_PLACES

BLOCKS_DOWN = (1, 2, 2, 4, 4)


class VistaClasses(nn.Module):
    """(B, 1, I, J, K) in [0, 1] and the numbers of Q classes -> (B, Q, I, J, K) logits; sizes are multiples of 16.

    `base_width` is 48 in the published checkpoint.
    """

    def __init__(self, base_width: int) -> None:
        super().__init__()
        self.image_encoder = SegResNetDS2(
            in_channels=1,
            blocks_down=BLOCKS_DOWN,
            norm="instance",
            out_channels=base_width,
            init_filters=base_width,
            dsdepth=1,
        )
        # The decoder for clicks is not run; the encoder still asks how many levels it has.
        self.image_encoder.up_layers = nn.ModuleList(nn.Identity() for _ in BLOCKS_DOWN[1:])
        self.class_head = ClassMappingClassify(n_classes=VISTA3D_PLACES, feature_size=base_width, use_mlp=True)

    def forward(self, volume: Tensor, classes: Tensor) -> Tensor:
        _, features = self.image_encoder(volume, with_point=False, with_label=True)
        logits, _ = self.class_head(features, classes[:, None])
        return logits.transpose(0, 1)
