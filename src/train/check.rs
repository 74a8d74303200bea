//! Looks before a sweep is submitted: does the model run, do the data fit, how much memory.
