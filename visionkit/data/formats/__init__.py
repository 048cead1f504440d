"""Read data sets in the formats that people have, a reader each."""
