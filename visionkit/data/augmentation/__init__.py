"""Change training samples at random; nothing else imports albumentations."""
