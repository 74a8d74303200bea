//! The worker's door.

fn main() {}
