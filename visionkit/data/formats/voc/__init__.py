"""Read the XML and the masks of Pascal VOC."""
