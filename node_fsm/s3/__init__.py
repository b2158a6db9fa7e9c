"""S3 behind the ObjectStore port."""
