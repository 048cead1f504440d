"""Turn a format on disk into batches: readers, records, geometry, augmentation, loading."""
