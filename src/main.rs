//! The controller's door.

fn main() {}
