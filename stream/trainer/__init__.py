"""The trainer: it learns personas from the samples that workers send, and publishes versions of them."""
