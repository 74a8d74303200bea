//! Compares with what PyTorch itself computed from an exported module.
