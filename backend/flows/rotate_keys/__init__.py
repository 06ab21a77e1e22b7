"""New keys sign what lives for hours: by age, by hand, or at once when one has leaked."""
