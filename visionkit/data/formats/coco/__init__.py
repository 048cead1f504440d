"""Read the JSON of COCO."""
