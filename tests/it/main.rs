//! The integration tests: one binary, because DataFusion links slowly.
