//! DataFusion over a warehouse.
