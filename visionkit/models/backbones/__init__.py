"""Hold the backbones: images in, one feature map a level out."""
