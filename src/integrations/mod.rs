//! Every service outside, one file or folder each.
