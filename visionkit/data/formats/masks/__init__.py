"""Read folders of images and masks."""
