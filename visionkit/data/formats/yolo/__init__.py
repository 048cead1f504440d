"""Read the text files of YOLO."""
