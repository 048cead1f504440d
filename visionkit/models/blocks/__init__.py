"""Hold the convolutional blocks of the staged networks and the layers that they and others are made of."""

from visionkit.models.blocks.inception import Inception
from visionkit.models.blocks.initial import init_convolutions
from visionkit.models.blocks.plain import Plain, Separable
from visionkit.models.blocks.residual import Bottleneck, Residual
from visionkit.models.blocks.style import Style, conv_bn

__all__ = ["Bottleneck", "Inception", "Plain", "Residual", "Separable", "Style", "conv_bn", "init_convolutions"]
