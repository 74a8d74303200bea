//! Draws a small volume like an electron microscope's.
