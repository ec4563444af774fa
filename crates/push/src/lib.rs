//! From an image to tags in a registry: the product.
